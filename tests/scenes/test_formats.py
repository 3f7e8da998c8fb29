"""The same scene in every format that can hold it gives the same cameras and pixels."""

import shutil
import struct

import numpy as np
import pytest
import torch
from scene_formats import WRITERS, chunk_scene, colmap_binary, colmap_text, llff, loaded_from

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import is_unposed, load_scene
from sphinx_framework.scenes.re10k import read_re10k


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_the_same_scene(turned, tmp_path, name):
    clean, poses, wanted = turned
    found = loaded_from(name, clean, poses, tmp_path / "other")
    for ours, theirs in ((found.inputs, wanted.inputs), (found.targets, wanted.targets)):
        assert torch.allclose(ours.world_from_camera, theirs.world_from_camera, atol=1e-5)
        assert torch.allclose(ours.intrinsics, theirs.intrinsics, atol=1e-4)
    assert torch.equal(found.images, wanted.images)
    assert torch.equal(found.target_images, wanted.target_images)
    assert not any("convention" in warning for warning in found.warnings)
    if name == "colmap-binary":
        assert 1.5 < found.near < 2.5 < found.far < 5
    if name == "llff":
        assert (found.near, found.far) == (0.5, 9.0)


def test_a_reader_can_be_named_and_says_what_it_needs(turned):
    clean, poses, wanted = turned
    llff(clean, poses)
    found = load_scene(clean, reader="llff")
    assert torch.allclose(
        found.targets.world_from_camera, wanted.targets.world_from_camera, atol=1e-5
    )
    with pytest.raises(SceneError, match=r"'colmap' needs sparse/0/cameras\.bin"):
        load_scene(clean, reader="colmap")
    with pytest.raises(SceneError, match="Did you mean 'colmap'"):
        load_scene(clean, reader="colmp")


@pytest.mark.parametrize(
    ("line", "told"),
    [("1 2 3", "19 numbers"), ("x " * 19, "no number"), ("1 " + "nan " * 18, "NaN")],
)
def test_a_malformed_camera_file_is_refused_by_line(tmp_path, line, told):
    (tmp_path / "room.txt").write_text(f"url\n{line}\n")
    with pytest.raises(SceneError, match=rf"room\.txt, line 2: .*{told}"):
        read_re10k(tmp_path / "room.txt")


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.full((12, 17), np.nan), np.zeros((3, 17))])
def test_a_malformed_llff_array_is_refused(clean, rows):
    (clean / "transforms.json").unlink()
    np.save(clean / "poses_bounds.npy", rows)
    with pytest.raises(SceneError, match=r"poses_bounds\.npy"):
        load_scene(clean)


@pytest.mark.parametrize("model", ["OPENCV_FISHEYE 40 32 40 40 20 16 0 0 0 0", "NONE 1 1 1", ""])
def test_a_colmap_camera_that_is_no_pinhole_is_refused(turned, tmp_path, model):
    clean, poses, _ = turned
    (clean / "transforms.json").unlink()
    colmap_text(clean, poses)
    (clean / "sparse/0/cameras.txt").write_text(f"7 {model}\n")
    with pytest.raises(SceneError, match=r"cameras\.txt"):
        load_scene(clean)


@pytest.mark.parametrize("write", [colmap_text, colmap_binary, llff])
def test_photos_beside_cameras_of_any_format_are_not_unposed(turned, tmp_path, write):
    _, poses, _ = turned
    folder = tmp_path / "other"
    shutil.copytree(turned[0] / "images", folder)
    assert is_unposed(folder)
    assert not is_unposed(write(folder, poses))


def test_photos_in_the_folder_images_without_cameras_are_unposed(turned, tmp_path):
    shutil.copytree(turned[0] / "images", tmp_path / "project/images")
    assert is_unposed(tmp_path / "project")
    (tmp_path / "project/transforms.json").write_text("{}")
    assert not is_unposed(tmp_path / "project")


@pytest.mark.parametrize("write", [colmap_text, colmap_binary])
def test_a_colmap_model_has_the_cameras_that_colmap_reads(turned, tmp_path, write):
    _, poses, _ = turned
    folder = tmp_path / "other"
    shutil.copytree(turned[0] / "images", folder / "images")
    write(folder, poses)
    ending, none = ("txt", b"") if write is colmap_text else ("bin", struct.pack("<Q", 0))
    (folder / f"sparse/0/points3D.{ending}").write_bytes(none)
    pycolmap = pytest.importorskip("pycolmap")
    model = pycolmap.Reconstruction()
    model.read(str(folder / "sparse/0"))
    found = load_scene(folder, targets="indices:0,1,2,3,4")
    for index, pose in enumerate(found.targets.world_from_camera):
        image = model.find_image_with_name(f"{index}.png")
        theirs = torch.tensor(image.cam_from_world().inverse().matrix())
        assert torch.allclose(pose[:3].double(), theirs, atol=1e-5)
        k = torch.tensor(model.cameras[image.camera_id].calibration_matrix())
        assert torch.allclose(found.targets.intrinsics[index].double(), k, atol=1e-4)


def test_a_header_of_llff_that_promises_petabytes_is_refused(clean):
    (clean / "transforms.json").unlink()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999, 17), }"
    whole = b"\x93NUMPY\x01\x00v\x00" + header.ljust(117) + b"\n"
    (clean / "poses_bounds.npy").write_bytes(whole)
    with pytest.raises(SceneError, match=r"poses_bounds\.npy: cannot be read as an array"):
        load_scene(clean)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("cameras", lambda value: value.to_sparse()),
        ("cameras", lambda value: value.to(torch.complex64)),
        ("images", lambda value: [image.to_sparse() for image in value]),
    ],
)
def test_odd_tensors_in_a_chunk_are_refused(turned, tmp_path, key, change):
    clean, poses, _ = turned
    scene = chunk_scene(clean, poses, "room")
    torch.save([{**scene, key: change(scene[key])}], tmp_path / "0.torch")
    with pytest.raises(SceneError, match=r"0\.torch"):
        load_scene(tmp_path / "0.torch")


def test_an_archive_under_the_name_of_an_array_is_refused(clean):
    (clean / "transforms.json").unlink()
    np.savez(clean / "poses.npz", poses=np.zeros((12, 17)))
    (clean / "poses.npz").rename(clean / "poses_bounds.npy")
    with pytest.raises(SceneError, match=r"poses_bounds\.npy: is an archive"):
        load_scene(clean)

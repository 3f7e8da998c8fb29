"""The same scene in every format that can hold it gives the same cameras and pixels."""

import json
import shutil
import struct

import numpy as np
import pytest
import torch
from photo_scenes import SIZE
from scipy.spatial.transform import Rotation

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import is_unposed, load_scene
from sphinx_framework.scenes.re10k import read_re10k

HEIGHT, WIDTH = SIZE
FLIP = np.diag([1.0, -1, -1, 1])


@pytest.fixture
def turned(clean):
    """The clean scene with cameras that also turn; poses are OpenCV camera-to-world."""
    content = json.loads((clean / "transforms.json").read_text())
    poses = []
    for index, frame in enumerate(content["frames"]):
        pose = np.array(frame["transform_matrix"]) @ FLIP
        pose[:3, :3] = Rotation.from_euler("xyz", [index, -2 * index, 3], degrees=True).as_matrix()
        pose[2, 3] = 0.3
        poses.append(pose)
        frame["transform_matrix"] = (pose @ FLIP).tolist()
    (clean / "transforms.json").write_text(json.dumps(content))
    return clean, poses, load_scene(clean)


def colmap_text(folder, poses):
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(f"# c\n7 SIMPLE_PINHOLE {WIDTH} {HEIGHT} 40 20 16\n")
    lines = ["# images", "# with two lines each"]
    for index in reversed(range(len(poses))):
        x, y, z, w = Rotation.from_matrix(poses[index][:3, :3].T).as_quat()
        t = -poses[index][:3, :3].T @ poses[index][:3, 3]
        lines += [f"{index} {w} {x} {y} {z} {t[0]} {t[1]} {t[2]} 7 {index}.png", "1.5 2 -1"]
    (model / "images.txt").write_text("\n".join(lines))
    return folder


def colmap_binary(folder, poses):
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    camera = struct.pack("<QiiQQ4d", 1, 3, 1, WIDTH, HEIGHT, 40, 40, 20, 16)
    (model / "cameras.bin").write_bytes(camera)
    images = struct.pack("<Q", len(poses))
    for index, pose in enumerate(poses):
        x, y, z, w = Rotation.from_matrix(pose[:3, :3].T).as_quat()
        t = -pose[:3, :3].T @ pose[:3, 3]
        images += struct.pack("<I7dI", index, w, x, y, z, *t, 3) + f"{index}.png\0".encode()
        images += struct.pack("<Q", 2) + struct.pack("<ddqddq", 1, 2, -1, 3, 4, 5)
    (model / "images.bin").write_bytes(images)
    points = struct.pack("<Q", 20)
    for index in range(20):
        row = (index, 0.1 * index, 0.0, 2.3 + 0.1 * index, 1, 2, 3, 0.5, 1)
        points += struct.pack("<Q3d3BdQ", *row) + struct.pack("<ii", 0, 0)
    (model / "points3D.bin").write_bytes(points)
    return folder


def llff(folder, poses):
    rows = []
    for pose in poses:
        matrix = np.stack([pose[:3, 1], pose[:3, 0], -pose[:3, 2], pose[:3, 3]], axis=1)
        hwf = np.array([[HEIGHT], [WIDTH], [40.0]])
        rows.append([*np.concatenate([matrix, hwf], axis=1).ravel(), 0.5, 9.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder


def re10k(folder, poses):
    lines = ["https://example.org/video"]
    for index, pose in enumerate(poses):
        (folder / "images" / f"{index}.png").rename(folder / "images" / f"{1000 * index}.png")
        numbers = np.linalg.inv(pose)[:3].ravel()
        k = (40 / WIDTH, 40 / HEIGHT, 0.5, 0.5, 0, 0)
        lines.append(" ".join(map(repr, [1000 * index, *k, *map(float, numbers)])))
    (folder / "room.txt").write_text("\n".join(lines))
    return folder / "room.txt"


def photos(folder, poses):
    k = {"fx": 40, "fy": 40, "cx": 20, "cy": 16}
    rows = [
        {"file": f"images/{i}.png", "pose": pose.tolist(), "intrinsics": k, "position": i}
        for i, pose in enumerate(poses)
    ]
    given = {"convention": "opencv_c2w", "inputs": [rows[0], rows[-1]], "targets": rows[1:-1]}
    (folder / "cameras.json").write_text(json.dumps(given))
    return folder


@pytest.mark.parametrize("write", [colmap_text, colmap_binary, llff, re10k, photos])
def test_every_format_is_the_same_scene(turned, tmp_path, write):
    clean, poses, wanted = turned
    folder = tmp_path / "other"
    shutil.copytree(clean, folder)
    (folder / "transforms.json").unlink()
    found = load_scene(write(folder, poses))
    for ours, theirs in ((found.inputs, wanted.inputs), (found.targets, wanted.targets)):
        assert torch.allclose(ours.world_from_camera, theirs.world_from_camera, atol=1e-5)
        assert torch.allclose(ours.intrinsics, theirs.intrinsics, atol=1e-4)
    assert torch.equal(found.images, wanted.images)
    assert torch.equal(found.target_images, wanted.target_images)
    if write is colmap_binary:
        assert 1.5 < found.near < 2.5 < found.far < 5
    if write is llff:
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

"""What --save writes can be read back: cameras, Gaussians, depth and pixels in one world."""

import json
import struct
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import sphinx_framework as sf
from sphinx_framework.errors import ConfigError
from sphinx_framework.geometry.pinhole import lift, project
from sphinx_framework.output.depth import read_depth, write_depth
from sphinx_framework.output.saving import SAVES, saving
from sphinx_framework.scenes.images import read_image, to_uint8
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.splatting.ply import read_ply
from sphinx_framework.testing.scenes import track_cameras
from sphinx_framework.types import Gaussians


def all_cameras(scene):
    return (
        torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera]),
        torch.cat([scene.inputs.intrinsics, scene.targets.intrinsics]),
    )


def frames_of(path):
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


def test_every_name_leaves_its_files_and_nothing_is_missing(saved):
    there = {path.relative_to(saved).parts[0] for path in saved.iterdir()}
    assert {"depth", "masks", "nerfstudio", "colmap", "video.webp", "video.gif"} <= there
    assert {"side_by_side.mp4", "scene.spz", "scene.ply", "report.json"} <= there
    assert "not written" not in (saved / "report.json").read_text()


def test_one_name_writes_no_other(result, tmp_path):
    plain = sf.save_result(result, tmp_path / "plain")
    out = sf.save_result(result, tmp_path / "out", save=["masks"])
    extra = {path.name for path in out.iterdir()} - {path.name for path in plain.iterdir()}
    assert extra == {"masks"}


def test_a_later_save_replaces_what_the_first_one_left(result, tmp_path):
    sf.save_result(result, tmp_path / "out", save="all")
    sf.save_result(result, tmp_path / "out", save="gif")
    assert (tmp_path / "out/video.gif").exists()
    for gone in ("depth", "colmap", "nerfstudio", "masks", "scene.spz"):
        assert not (tmp_path / "out" / gone).exists()


@pytest.mark.parametrize("place", ["nerfstudio", "colmap", "colmap/text"])
def test_training_sets_hold_the_same_cameras(saved, result, place):
    back = load_scene(saved / place)
    cameras, lenses = all_cameras(result.scene)
    poses, intrinsics = all_cameras(back)
    # Readers without a split take the first and the last picture as inputs.
    order = [0, *range(2, len(cameras) - 1), 1, len(cameras) - 1]
    assert len(poses) == len(cameras)
    found = [int((cameras - pose).abs().amax((1, 2)).argmin()) for pose in poses]
    assert sorted(found) == sorted(order)
    torch.testing.assert_close(poses, cameras[found], rtol=0, atol=1e-5)
    torch.testing.assert_close(intrinsics, lenses[found], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("place", ["nerfstudio", "colmap"])
def test_training_sets_hold_inputs_and_results_pixel_by_pixel(saved, result, place):
    for name, image in [
        ("input_001.png", result.scene.images[1]),
        ("target_002.png", result.images[2]),
    ]:
        stored = (read_image(saved / place / "images" / name) * 255).round().byte()
        assert torch.equal(stored, to_uint8(image))


def test_pycolmap_reads_the_model(saved, result):
    pycolmap = pytest.importorskip("pycolmap")
    for place in ("colmap/sparse/0", "colmap/text"):
        model = pycolmap.Reconstruction(str(saved / place))
        assert model.num_images() == 5
        assert model.num_points3D() > 100
        image = next(i for i in model.images.values() if i.name == "target_001.png")
        pose = image.cam_from_world() if callable(image.cam_from_world) else image.cam_from_world
        expected = result.scene.targets.camera_from_world[1, :3]
        np.testing.assert_allclose(pose.matrix(), expected.numpy(), atol=1e-5)
        k = model.cameras[image.camera_id].calibration_matrix()
        np.testing.assert_allclose(k, result.scene.targets.intrinsics[1].numpy(), rtol=1e-6)


def test_nerfstudio_finds_everything_it_asks_for(saved):
    content = json.loads((saved / "nerfstudio/transforms.json").read_text())
    assert content["camera_model"] == "OPENCV"
    assert (saved / "nerfstudio" / content["ply_file_path"]).is_file()
    for frame in content["frames"]:
        assert (saved / "nerfstudio" / frame["file_path"]).is_file()
        height, width = read_image(saved / "nerfstudio" / frame["file_path"]).shape[1:]
        assert (content["h"], content["w"]) == (height, width)


def test_points_lie_in_the_world_of_the_cameras(saved, result):
    raw = (saved / "nerfstudio/points.ply").read_bytes()
    head, _, body = raw.partition(b"end_header\n")
    count = int(head.split(b"element vertex ")[1].split()[0])
    assert len(body) == 15 * count
    first = struct.unpack("<3f3B", body[:15])
    distance = (result.coarse.gaussians.means - torch.tensor(first[:3])).norm(dim=1)
    assert float(distance.min()) < 1e-6


def test_without_gaussians_points_come_from_depth_and_project_to_their_pixels(result, tmp_path):
    bare = replace(result, coarse=replace(result.coarse, gaussians=None))
    out = sf.save_result(bare, tmp_path / "out", save=["colmap", "spz"])
    assert not (out / "scene.spz").exists()
    assert "no Gaussians" in json.loads((out / "report.json").read_text())["warnings"][-1]
    lines = (out / "colmap/text/points3D.txt").read_text().splitlines()[1:]
    rows = np.array([[float(word) for word in line.split()[1:7]] for line in lines])
    seen = torch.tensor(rows[:, :3]).float()
    expected = lift(result.scene.targets, result.coarse.depth)[result.coarse.opacity > 0.5]
    torch.testing.assert_close(seen, expected, rtol=1e-6, atol=1e-6)


def test_gaussians_read_back_give_the_same_pixels(saved, splats, result):
    again = render_gaussians(read_ply(saved / "scene.ply"), result.scene.targets)
    first = render_gaussians(splats, result.scene.targets)
    torch.testing.assert_close(again.images, first.images, rtol=0, atol=1e-4)
    torch.testing.assert_close(again.images.clamp(0, 1), result.coarse.images, rtol=0, atol=1e-4)


def test_compressed_gaussians_give_almost_the_same_pixels(saved, splats, result):
    gsply = pytest.importorskip("gsply")
    data = gsply.read_spz(saved / "scene.spz")
    rest = torch.from_numpy(np.array(data.shN)).transpose(1, 2)
    sh = torch.cat([torch.from_numpy(np.array(data.sh0))[:, :, None], rest], dim=2)
    scales = torch.from_numpy(np.array(data.scales)).exp()
    quaternions = torch.from_numpy(np.array(data.quats))
    from sphinx_framework.geometry.rotations import matrices_from_quaternions

    spread = matrices_from_quaternions(quaternions) * scales[:, None]
    back = Gaussians(
        means=torch.from_numpy(np.array(data.means)),
        covariances=spread @ spread.transpose(1, 2),
        harmonics=sh,
        opacities=torch.sigmoid(torch.from_numpy(np.array(data.opacities))),
    )
    assert float((back.means - splats.means).abs().max()) < 1e-5
    again = render_gaussians(back, result.scene.targets).images
    assert float((again - result.coarse.images).clamp(-1, 1).square().mean().sqrt()) < 0.02
    assert (saved / "scene.spz").stat().st_size < (saved / "scene.ply").stat().st_size / 3


def test_gaussians_that_the_compressed_format_cannot_hold_are_said_and_not_written(
    result, splats, tmp_path
):
    pytest.importorskip("gsply")
    for wrong in (
        replace(splats, means=splats.means * 1e7),
        replace(splats, scales=splats.scales * 1e-6),
    ):
        told = replace(result, coarse=replace(result.coarse, gaussians=wrong))
        out = sf.save_result(told, tmp_path / "out", save="spz")
        assert not (out / "scene.spz").exists()
        assert any("spz: not written" in w for w in told.report.warnings)


def test_depth_read_back_is_the_regression_stages_to_half_a_step(saved, result):
    scale = json.loads((saved / "depth/depth.json").read_text())["scale"]
    found = read_depth(saved / "depth")
    depth = result.coarse.depth
    assert float((found - depth).abs().max()) <= 0.51 * scale
    assert bool(((found > 0) == (depth > 0)).all())
    exact = np.load(saved / "depth/depth.npz")["depth"]
    np.testing.assert_array_equal(exact, depth.numpy())
    with Image.open(saved / "depth/000.png") as picture:
        assert picture.mode.startswith("I")


def test_depth_agrees_with_the_projections_of_the_gaussians(saved, splats, result):
    """The front surface of an opaque pixel lies where a lone Gaussian is seen."""
    lone = replace(
        splats,
        means=torch.tensor([[0.3, 0.1, 2.5]]),
        covariances=1e-2 * torch.eye(3)[None],
        harmonics=splats.harmonics[:1],
        opacities=torch.tensor([0.97]),
        scales=None,
        rotations=None,
    )
    views = render_gaussians(lone, result.scene.targets)
    depth = views.depth / views.opacity.clamp(min=1e-4)
    places, z = project(result.scene.targets, lone.means)
    for view in range(3):
        x, y = (int(value) for value in places[view, 0])
        assert float(depth[view, y, x]) == pytest.approx(float(z[view, 0]), rel=1e-3)
        point = lift(result.scene.targets, depth)[view, y, x]
        assert float((point - lone.means[0]).norm()) < 0.03


@given(st.lists(st.floats(0, 1e6, width=32), min_size=4, max_size=4), st.floats(1e-3, 1e3))
def test_any_depth_survives_to_half_a_step(tmp_path_factory, values, factor):
    depth = (torch.tensor(values) * factor).reshape(1, 2, 2)
    folder = tmp_path_factory.mktemp("depth") / "new"
    write_depth(folder, depth)
    step = max(float(depth.max()) / 65535, 1e-30)
    assert float((read_depth(folder) - depth).abs().max()) <= step * 1.01


def test_masks_are_the_results(saved, result):
    for index, mask in enumerate(result.mask):
        with Image.open(saved / f"masks/{index:03d}.png") as picture:
            stored = np.asarray(picture)
        np.testing.assert_array_equal(stored, mask.numpy() * 255)


@pytest.mark.parametrize("name", ["video.webp", "video.gif"])
def test_animations_show_every_frame_at_the_asked_speed_for_ever(saved, result, name):
    with Image.open(saved / name) as picture:
        assert picture.n_frames == 3
        assert picture.info.get("loop") == 0
        for index in range(3):
            picture.seek(index)
            picture.load()
            assert picture.info["duration"] == 100
            shown = np.asarray(picture.convert("RGB")).astype(float) / 255
            wanted = result.images[index].permute(1, 2, 0).numpy()
            assert np.abs(shown - wanted).mean() < 0.06


def test_stages_stand_side_by_side_under_their_names(saved, result):
    frames = frames_of(saved / "side_by_side.mp4")
    assert len(frames) == 3
    height, width = frames[0].shape[:2]
    panel = (width - 8) // 3
    assert panel == round(64 * 256 / 48)
    for index, stage in enumerate(
        (result.coarse.images, result.images, result.scene.target_images)
    ):
        left = index * (panel + 4)
        shown = Image.fromarray(frames[1][28 : 28 + 256, left : left + panel]).resize((64, 48))
        wanted = stage[1].permute(1, 2, 0).numpy()
        assert np.abs(np.asarray(shown) / 255 - wanted).mean() < 0.06, index
        assert frames[1][:28, left : left + panel].min() < 100  # a caption
    assert height == 284


def test_videos_have_the_asked_speed(saved):
    for name in ("video.mp4", "side_by_side.mp4"):
        with av.open(str(saved / name)) as video:
            assert video.streams.video[0].average_rate == 10


@pytest.mark.parametrize(
    ("names", "fps", "told"),
    [
        ("dept", None, "depth"),
        (["gif", "x"], None, "'x'"),
        ("", None, "''"),
        ("depth,,gif", None, "''"),
        (5, None, "save must be names of outputs, as a text or a list of texts, got 5"),
        ([5], None, "got [5]"),
        (None, "x", "fps must be a number from 0.1 to 240, got 'x'"),
        (None, True, "fps must be a number from 0.1 to 240, got True"),
        (None, 0, "fps"),
        (None, float("nan"), "fps"),
        (None, 1000, "fps"),
    ],
)
def test_what_cannot_be_saved_is_refused_by_name(names, fps, told):
    with pytest.raises(ConfigError) as refused:
        saving(names, fps)
    assert told in f"{refused.value.message} {refused.value.hint}"


def test_names_may_have_spaces_and_repeat():
    assert saving(fps=np.float32(24)).fps == 24.0
    assert saving("gif, webp,gif").names == ("gif", "webp")
    assert set(saving("all").names) <= set(SAVES)


def test_projecting_what_was_lifted_gives_the_pixel_back():
    cameras = track_cameras(3, (6, 8))
    depth = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(1)) + 1
    points = lift(cameras, depth)
    for view in range(3):
        places, z = project(cameras[view], points[view].reshape(-1, 3))
        y, x = torch.meshgrid(torch.arange(6) + 0.5, torch.arange(8) + 0.5, indexing="ij")
        torch.testing.assert_close(
            places[0].reshape(6, 8, 2), torch.stack([x, y], -1), rtol=0, atol=1e-4
        )
        torch.testing.assert_close(z[0].reshape(6, 8), depth[view])

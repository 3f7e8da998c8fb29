"""Georeferenced captures: cameras millions of units from the origin render as they do at it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from photo_scenes import write_photo_scene
from scene_formats import WRITERS

from sphinx_framework.errors import SceneError
from sphinx_framework.output.results import write_result
from sphinx_framework.output.saving import saving
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.splatting.ply import read_ply
from sphinx_framework.types.origin import NO_MOVE, origin_of
from sphinx_framework.view.folder import cameras_of, read_result

FAR = np.array([500_123.456, 5_412_987.125, 312.5])
# Formats whose numbers are single precision themselves cannot hold such a world.
DOUBLE = [name for name in WRITERS if not name.startswith("chunk")]


@pytest.fixture
def poses():
    made = []
    for index in range(5):
        pose = np.eye(4)
        pose[:3, 3] = [0.13 * index, 0.01 * index**2, 0.2]
        made.append(pose)
    return made


def far(poses):
    shift = np.eye(4)
    shift[:3, 3] = FAR
    return [shift @ pose for pose in poses]


def scene_of(name, folder, poses, **more):
    write_photo_scene(folder)
    for file in folder.glob("*.json"):
        file.unlink()
    place, options = WRITERS[name](folder, poses)
    return load_scene(place, **options, **more)


@pytest.mark.parametrize("name", DOUBLE)
def test_a_far_scene_has_the_cameras_of_a_near_one(tmp_path, poses, name):
    near, found = (
        scene_of(name, tmp_path / place, given)
        for place, given in (("near", poses), ("far", far(poses)))
    )
    assert near.origin == NO_MOVE
    home = torch.tensor(found.origin, dtype=torch.float64) - torch.from_numpy(FAR)
    for ours, theirs in ((found.inputs, near.inputs), (found.targets, near.targets)):
        back = ours.world_from_camera.double()
        back[:, :3, 3] += home
        assert torch.allclose(back, theirs.world_from_camera.double(), atol=1e-6)
    assert not any("single precision" in warning for warning in found.warnings)


def test_targets_of_a_file_stand_in_the_same_far_world(tmp_path, poses):
    path = tmp_path / "path.json"
    made = [{"pose": pose.tolist()} for pose in far(poses)[1:4]]
    path.write_text(json.dumps({"convention": "opencv_c2w", "targets": made}))
    own = scene_of("photos", tmp_path / "own", far(poses))
    named = scene_of("photos", tmp_path / "named", far(poses), targets=str(path))
    ours, theirs = (
        scene.targets.centres.double() + torch.tensor(scene.origin, dtype=torch.float64)
        for scene in (named, own)
    )
    assert (ours - theirs).abs().max() < 1e-6


def test_key_frames_mix_inputs_and_poses_of_the_far_world(tmp_path, poses):
    path = tmp_path / "keys.json"
    keys = [{"time": 0, "input": 0}, {"time": 1, "pose": far(poses)[2].tolist()}]
    keys += [{"time": 2, "input": 1}]
    path.write_text(json.dumps({"fps": 1, "convention": "opencv_c2w", "keyframes": keys}))
    scene = scene_of("photos", tmp_path / "scene", far(poses), targets=str(path))
    places = scene.targets.centres.double() + torch.tensor(scene.origin, dtype=torch.float64)
    wanted = torch.tensor(np.array([pose[:3, 3] for pose in (far(poses)[i] for i in (0, 2, 4))]))
    assert torch.allclose(places, wanted, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    """Every output of a result whose scene was read from far away."""
    scene = replace(finished.scene, origin=tuple(FAR))
    moved = replace(finished, scene=scene, report=finished.report.model_copy(deep=True))
    folder = tmp_path_factory.mktemp("far")
    write_result(moved, folder, saving("nerfstudio,colmap"))
    return moved, folder


def centres(path):
    frames = json.loads(path.read_text())["frames"]
    return np.array([frame["transform_matrix"] for frame in frames])[:, :3, 3]


def test_results_are_written_in_the_world_that_was_read(written):
    result, folder = written
    targets = result.scene.targets.centres.double().numpy() + FAR
    everything = np.concatenate([result.scene.inputs.centres.double().numpy() + FAR, targets])
    assert np.abs(centres(folder / "transforms.json") - targets).max() < 1e-6
    assert np.abs(centres(folder / "nerfstudio/transforms.json") - everything).max() < 1e-6
    back = load_scene(folder / "colmap", targets="indices:0")
    home = back.inputs.centres[0].double().numpy() + np.array(back.origin)
    assert np.abs(home - everything[0]).max() < 1e-4


def test_gaussians_and_points_keep_what_is_small_far_away(written):
    result, folder = written
    means = result.coarse.gaussians.means.cpu()
    again = read_ply(folder / "scene.ply", origin=tuple(FAR))
    assert torch.allclose(again.means, means, atol=1e-6)
    rows = (folder / "nerfstudio/points.ply").read_bytes().partition(b"end_header\n")
    assert b"property double x" in rows[0]
    first = np.frombuffer(rows[2][:24], "<f8") - FAR
    assert np.abs(means.numpy() - first).sum(axis=1).min() < 1e-6


def test_the_viewer_moves_a_far_result_to_its_own_middle(written):
    result, folder = written
    found = read_result(folder)
    ours = cameras_of(found)
    theirs = result.scene.targets.centres - result.scene.targets.centres.mean(dim=0)
    assert torch.allclose(ours.centres - ours.centres.mean(dim=0), theirs, atol=1e-6)
    assert read_ply(found.splats, origin=found.origin).means.abs().max() < 1e3


def test_a_far_scene_is_nothing_for_the_format_of_phones(result, tmp_path):
    moved = replace(result, scene=replace(result.scene, origin=tuple(FAR)))
    write_result(moved, tmp_path, saving("spz"))
    assert any("too far for it" in warning for warning in moved.report.warnings)
    assert not (tmp_path / "scene.spz").exists()


def test_near_scenes_are_left_where_they_are():
    poses = [torch.eye(4, dtype=torch.float64) for _ in range(3)]
    for index, pose in enumerate(poses):
        pose[0, 3] = 20 + index
    assert origin_of(poses) == NO_MOVE
    assert origin_of([]) == NO_MOVE
    assert origin_of(poses[:1]) == NO_MOVE
    poses[0][0, 3] = 2e6
    assert origin_of(poses[:1]) == (2e6, 0.0, 0.0)


@pytest.mark.parametrize("name", ["photos", "blender"])
def test_a_world_too_far_for_its_own_numbers_is_refused_and_a_doubtful_one_told(
    tmp_path, poses, name
):
    def moved_by(distance):
        shift = np.eye(4)
        shift[:3, 3] = distance
        return [shift @ pose for pose in poses]

    with pytest.raises(SceneError, match=r"json.*float64 has steps of .* tell them apart") as told:
        scene_of(name, tmp_path / "lost", moved_by(1e15))
    assert told.value.hint.startswith("Subtract one point of the scene")
    found = scene_of(name, tmp_path / "doubtful", moved_by(1e12))
    assert any("double precision has steps" in warning for warning in found.warnings)

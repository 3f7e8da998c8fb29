"""Photos against their cameras: a convention named wrongly is told, with the one that fits."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scene_formats import written

from sphinx_framework.output.scene_folder import from_scene, write_scene_folder
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.poses import CONVENTIONS
from sphinx_framework.scenes.view_checks import View, view_doubts
from sphinx_framework.testing.scenes import room_scene

# Two photos and no ground truth: what a path is rendered between.
TWO = "interpolate:2"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    write_scene_folder(folder, from_scene(room_scene(7, (144, 192), seed=3)))
    content = json.loads((folder / "transforms.json").read_text())
    del content["applied_transform"]
    return folder, content


@pytest.fixture
def told(room):
    """What is said about photos and cameras when poses of one convention are read as another."""
    folder, content = room

    def told(true, read, targets=TWO):
        flip = np.diag([1.0, -1, -1, 1])
        frames = [
            {
                **frame,
                "transform_matrix": written(np.array(frame["transform_matrix"]) @ flip, true),
            }
            for frame in content["frames"]
        ]
        (folder / "transforms.json").write_text(json.dumps({**content, "frames": frames}))
        found = load_scene(folder, convention=read, targets=targets).warnings
        return [warning for warning in found if "photos do not fit" in warning]

    return told


@pytest.mark.parametrize("true", CONVENTIONS)
def test_two_photos_tell_which_convention_their_poses_are_in(told, true):
    axes = {"opencv_c2w": "opengl_c2w", "opengl_c2w": "opencv_c2w"}
    axes |= {"opencv_w2c": "opengl_w2c", "opengl_w2c": "opencv_w2c"}
    assert told(true, true) == []
    (doubt,) = told(true, axes[true])
    assert doubt.endswith(f"(--convention {true})")


def test_the_default_convention_is_doubted_as_a_named_one_is(told):
    (doubt,) = told("opencv_c2w", "auto")
    assert doubt.endswith("(--convention opencv_c2w)")


def test_photos_of_targets_tell_too(told):
    assert told("opengl_c2w", "opengl_c2w", targets=None) == []
    assert told("opencv_c2w", "opengl_c2w", targets=None)


def looking(degrees: float, across: float) -> View:
    """A camera in front of something flat, turned; its photo shows nothing."""
    angle = np.radians(degrees)
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, [0, 2]] = torch.tensor([np.cos(angle), np.sin(angle)])
    pose[2, [0, 2]] = torch.tensor([-np.sin(angle), np.cos(angle)])
    pose[0, 3] = across
    flipped = pose * pose.new_tensor([1, -1, -1, 1])
    return View(
        image=lambda: torch.zeros(3, 32, 32),
        intrinsics=torch.diag(torch.tensor([30.0, 30, 1], dtype=torch.float64)),
        pose=pose,
        readings={"opencv_c2w": flipped},
    )


@pytest.mark.parametrize(("turn", "named"), [(-20, True), (20, False), (0, False)])
def test_photos_that_show_nothing_are_judged_by_where_they_look(turn, named):
    doubts = view_doubts([looking(turn, -1.0), looking(-turn, 1.0)])
    assert [doubt.endswith("(--convention opencv_c2w)") for doubt in doubts] == [True] * named


def test_photos_in_another_order_than_their_poses_are_told():
    scene = room_scene(6, (240, 320), seed=2)
    mixed = replace(scene, target_images=scene.target_images.flip(0))

    def views(of):
        return [
            View(
                image=lambda i=i: of.target_images[i],
                intrinsics=of.targets.intrinsics[i].double(),
                pose=of.targets.world_from_camera[i].double(),
            )
            for i in (0, 2)
        ]

    assert view_doubts(views(scene)) == ()
    assert any("in the order of the poses" in doubt for doubt in view_doubts(views(mixed)))


def test_photos_from_one_place_have_nothing_to_be_wrong_about():
    scene = room_scene(4, (144, 192))
    view = View(
        image=lambda: scene.images[0],
        intrinsics=scene.inputs.intrinsics[0].double(),
        pose=scene.inputs.world_from_camera[0].double(),
    )
    assert view_doubts([view, view]) == ()


@pytest.mark.parametrize("seed", range(4))
def test_small_photos_of_views_that_diverge_are_judged_by_all_their_features(tmp_path, seed):
    write_scene_folder(tmp_path, from_scene(room_scene(5, (64, 64), seed=seed)))
    assert load_scene(tmp_path).warnings == ()
    (doubt,) = load_scene(tmp_path, convention="opengl_w2c").warnings
    assert doubt.endswith("(--convention opengl_c2w)")


def test_views_of_files_that_can_be_read_in_other_ways_are_compared_by_those_of_both():
    scene = room_scene(6, (240, 320), seed=2)
    views = [
        View(
            image=lambda i=i: scene.target_images[i],
            intrinsics=scene.targets.intrinsics[i].double(),
            pose=scene.targets.world_from_camera[i].double(),
            readings={name: scene.targets.world_from_camera[0].double() for name in names},
        )
        for i, names in ((0, ("opengl_c2w", "opencv_w2c")), (2, ("opencv_w2c",)))
    ]
    assert view_doubts(views) == ()
    assert view_doubts(views[::-1]) == ()

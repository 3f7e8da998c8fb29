"""Camera paths against the authors' numbers."""

import re
from typing import Any

import pytest
import torch
from goldens import Golden, golden

from sphinx_framework_viewcrafter.trajectories import (
    around_object,
    between_views,
    focals_between_views,
    in_camera,
    object_centred,
    path_from_lists,
    path_to,
    smoothed,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def fixture() -> Golden:
    return golden("viewcrafter_trajectories")


def test_paths_between_photos_equal_the_authors(fixture: Golden, close: Any) -> None:
    tensors, frames = fixture.tensors, fixture.info["config"]["ns"]
    found = [key for key in tensors if key.startswith("out/interp_") and "focals" not in key]
    assert found
    for key in found:
        views = int(key.removeprefix("out/interp_").removesuffix("views"))
        close(between_views(tensors["in/c2ws"][:views], frames), tensors[key], fixture)
        focals = tensors[key.replace("interp_", "interp_focals_")]
        close(focals_between_views(tensors["in/focals"][:views], frames), focals, fixture)


def test_the_path_of_the_rendered_clip_equals_the_authors(close: Any) -> None:
    fixture = golden("viewcrafter_pointrender")
    tensors, frames = fixture.tensors, fixture.info["config"]["T"]
    path = between_views(tensors["in/c2w_keyframes"], frames)
    close(torch.linalg.inv(path), tensors["out/traj_w2c_opencv"], fixture)
    focals = focals_between_views(tensors["in/focals"], frames)
    close(focals.expand(-1, 2), tensors["out/traj_focals"], fixture)


def test_the_object_centred_world_equals_the_authors(fixture: Golden, close: Any) -> None:
    tensors, config = fixture.tensors, fixture.info["config"]
    anchors = [m[1] for m in (re.fullmatch(r"out/kth(\d+)_c2ws", key) for key in tensors) if m]
    assert anchors
    for anchor in anchors:
        poses, points = in_camera(tensors["in/c2ws"], tensors["in/points"], int(anchor))
        close(poses, tensors[f"out/kth{anchor}_c2ws"], fixture)
        close(points, tensors[f"out/kth{anchor}_points"], fixture)
    stated = numbers(fixture.info["description"]["out/obj_*"].replace("(", ","))
    poses, points = object_centred(
        tensors["in/c2ws"],
        tensors["in/points"],
        int(stated["k"]),
        radius=config["rad"],
        elevation=config["elev"],
    )
    close(poses, tensors["out/obj_c2ws"], fixture)
    close(points, tensors["out/obj_points"], fixture)


def numbers(description: str) -> dict[str, float]:
    """``"anchor=x, theta=-12, r=0.3"`` to the values that are numbers."""
    pairs = [part.split("=") for part in description.split(",") if "=" in part]
    values = {}
    for name, value in pairs:
        try:
            values[name.strip()] = float(value)
        except ValueError:
            continue
    return values


def test_turns_around_the_object_equal_the_authors(fixture: Golden, close: Any) -> None:
    anchor = fixture.tensors["out/obj_c2ws"][-1]
    turns = [key for key in fixture.tensors if key.startswith("out/sphere2pose_")]
    assert turns
    for key in turns:
        values = numbers(fixture.info["description"][key])
        values["radius"] = values.pop("r")
        close(around_object(anchor, **values)[None], fixture.tensors[key], fixture)


def test_smoothed_angle_lists_equal_the_authors(fixture: Golden, close: Any) -> None:
    config = fixture.info["config"]
    for key, name in (("out/txt_phi", "phi"), ("out/txt_theta", "th")):
        found = torch.from_numpy(smoothed(config[name], config["ns"])).float()
        close(found, fixture.tensors[key], fixture)


def test_paths_around_a_single_photo_equal_the_authors(fixture: Golden, close: Any) -> None:
    config, tensors = fixture.info["config"], fixture.tensors
    anchor, frames = tensors["out/obj_c2ws"][-1], config["ns"]
    path = path_from_lists(
        anchor, phi=config["phi"], theta=config["th"], radius=config["r"], frames=frames
    )
    close(torch.linalg.inv(path), tensors["out/traj_txt_w2c_opencv"], fixture)
    values = numbers(fixture.info["description"]["out/traj_target_w2c_opencv"])
    path = path_to(
        anchor,
        phi=values["phi"],
        theta=values["theta"],
        radius=values["d_r"],
        x=values["d_x"],
        y=values["d_y"],
        frames=frames,
    )
    close(torch.linalg.inv(path), tensors["out/traj_target_w2c_opencv"], fixture)

"""Scenes made from arrays stand where their caller says, also millions of units from the origin."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sphinx_framework as sf
from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.serve.scene_files import camera_list
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types.origin import NO_MOVE

NEAR = sf.load_scene("procedural:demo", size=(32, 32), targets="interpolate:3")
DISTANCES = st.floats(3, 7).map(lambda power: 10**power)
DIRECTIONS = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.1)
FAR = np.array([500_123.456, -5_412_987.125, 312.5])


@pytest.fixture(scope="module")
def engine():
    return sf.Engine.from_config("lite", device="cpu", overrides=["size=[32,32]"])


def shifted(cameras, offset, form="tensor"):
    poses = cameras.world_from_camera.double()
    poses[:, :3, 3] += torch.from_numpy(np.asarray(offset, dtype=float))
    made = {
        "tensor": lambda: poses,
        "numpy": lambda: poses.numpy(),
        "rows": lambda: poses[:, :3].tolist(),
        "float32": lambda: poses.float(),
    }[form]()
    return replace(cameras, world_from_camera=made)


def far_scene(offset=FAR, form="tensor", near=NEAR, **changes):
    """As a host makes one: from arrays, in its own world."""
    return sf.Scene(
        images=near.images,
        inputs=shifted(near.inputs, offset, form),
        targets=shifted(near.targets, offset, form),
        **{"near": near.near, "far": near.far, **changes},
    )


def places(scene, cameras):
    return scene.in_world(cameras).centres.double().numpy()


@settings(max_examples=12, deadline=None)
@given(DISTANCES, DIRECTIONS, st.sampled_from(["tensor", "numpy", "rows"]))
def test_a_shifted_scene_gives_the_pictures_of_the_one_at_the_origin(engine, far, way, form):
    offset = far * np.array(way) / np.linalg.norm(way)
    wanted = engine.render(NEAR, mode="regression").images
    result = engine.render(far_scene(offset, form), mode="regression")
    assert float((result.images - wanted).square().mean()) < 1e-8
    assert not any("precision" in warning for warning in result.report.warnings)
    theirs = NEAR.targets.centres.double().numpy() + offset
    assert np.abs(places(result.scene, result.scene.targets) - theirs).max() < 1e-6


@settings(max_examples=200, deadline=None)
@given(DISTANCES, DIRECTIONS, st.sampled_from(["tensor", "numpy", "rows"]))
def test_cameras_keep_their_distances_and_their_world(far, way, form):
    offset = far * np.array(way) / np.linalg.norm(way)
    scene = far_scene(offset, form)
    scene.validate()
    assert scene.inputs.world_from_camera.dtype == torch.float32
    both = torch.cat([scene.inputs.centres, scene.targets.centres])
    wanted = torch.cat([NEAR.inputs.centres, NEAR.targets.centres])
    assert torch.allclose(both - both[0], wanted - wanted[0], atol=1e-6)
    assert np.abs(places(scene, scene.inputs) - NEAR.inputs.centres.numpy() - offset).max() < 1e-6


def test_results_are_saved_in_the_callers_world(engine, tmp_path):
    scene = far_scene()
    result = engine.render(scene, mode="regression")
    sf.save_result(result, tmp_path / "out", save="nerfstudio")
    wanted = NEAR.targets.centres.double().numpy() + FAR
    for name in ("transforms.json", "nerfstudio/transforms.json"):
        frames = json.loads((tmp_path / "out" / name).read_text())["frames"]
        found = np.array([frame["transform_matrix"] for frame in frames])[-3:, :3, 3]
        assert np.abs(found - wanted).max() < 1e-6
    listed = np.array([view["pose"] for view in camera_list(scene, scene.targets)])[:, :3, 3]
    assert np.abs(listed - wanted).max() < 1e-6


def test_scenes_made_of_a_centred_scene_stay_in_its_frame(tmp_path):
    scene = far_scene()
    subset = replace(scene, targets=scene.targets[[1]])
    fitted = fit_scene(scene, (16, 16))
    on_device = scene.to(torch.device("cpu"))
    again = pickle.loads(pickle.dumps(scene))
    doubled = replace(scene, targets=shifted(scene.targets, (0.0, 0.0, 0.0)))
    for made in (subset, fitted, on_device, again, doubled, replace(scene, origin=scene.origin)):
        made.validate()
        assert made.origin == scene.origin
        assert torch.equal(made.inputs.centres, scene.inputs.centres)


def test_near_scenes_keep_their_bytes_and_their_origin():
    scene = far_scene((0.0, 0.0, 0.0), "numpy")
    assert scene.origin == NO_MOVE
    assert torch.equal(scene.inputs.world_from_camera, NEAR.inputs.world_from_camera)
    assert NEAR.in_world(NEAR.inputs).world_from_camera.dtype == torch.float32
    assert shifted(NEAR.inputs, (0, 0, 0), "numpy").world_from_camera.dtype == torch.float32


def test_moving_a_centred_scene_again_moves_its_world():
    scene = far_scene()
    again = replace(scene, inputs=shifted(scene.inputs, FAR), targets=shifted(scene.targets, FAR))
    wanted = NEAR.targets.centres.double().numpy() + 2 * FAR
    assert np.abs(places(again, again.targets) - wanted).max() < 1e-6


def test_cameras_that_were_rounded_before_are_refused_once_with_what_to_do(engine):
    with pytest.raises(SceneError, match=r"float32 has steps of 0\.65: it cannot tell them apart"):
        engine.render(far_scene(form="float32"), mode="regression")
    with pytest.raises(SceneError, match="float32 has steps"):  # half of them were
        sf.Scene(
            images=NEAR.images,
            inputs=shifted(NEAR.inputs, FAR),
            targets=shifted(NEAR.targets, FAR, "float32"),
        )
    with pytest.raises(SceneError, match="float64 has steps"):
        far_scene((1e16, 0.0, 0.0))


def test_cameras_that_were_rounded_a_little_are_told(engine):
    result = engine.render(far_scene((3e3, 0.0, 0.0), "float32"), mode="regression")
    told = [warning for warning in result.report.warnings if "single precision" in warning]
    assert len(told) == 1


@pytest.mark.parametrize("role", ["targets", "inputs"])
@pytest.mark.parametrize("form", ["tensor", "float32"])
def test_cameras_of_the_world_in_a_centred_scene_are_refused(role, form):
    scene = far_scene()
    mixed = replace(scene, **{role: shifted(getattr(NEAR, role), FAR, form)})
    with pytest.raises(SceneError, match=f"the {role} stand about as far from the .* origin"):
        mixed.validate()


def test_a_turn_on_the_spot_far_away_is_no_rounding():
    scene = fake_scene()
    poses = scene.inputs.world_from_camera.clone()
    poses[:, :3, 3] = torch.tensor([1000.0, 0.0, 0.0])
    spot = replace(scene.inputs, world_from_camera=poses)
    replace(scene, inputs=spot, targets=spot, near=None, far=None, order=None).validate()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_none_are_named_by_their_camera(value):
    poses = NEAR.inputs.world_from_camera.double()
    poses[1, 0, 3] = value
    bad = replace(NEAR.inputs, world_from_camera=poses)
    with pytest.raises(SceneError, match="input camera 1: its pose or intrinsics hold NaN or inf"):
        replace(NEAR, inputs=bad).validate()

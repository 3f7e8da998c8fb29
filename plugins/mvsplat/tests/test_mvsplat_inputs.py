from dataclasses import replace

import pytest
import torch
from goldens import golden
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from sphinx_framework.errors import SceneError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_mvsplat.config import MVSplatConfig
from sphinx_framework_mvsplat.inputs import prepare_inputs
from sphinx_framework_mvsplat.shims import crop_to_multiple, rescale_and_crop


def test_rescale_and_crop_agrees_with_the_golden(stated_tolerances):
    given = golden("mvsplat_data_shims")
    images, intrinsics = rescale_and_crop(
        given.tensors["in/crop_images"],
        given.tensors["in/crop_intrinsics"],
        tuple(given.info["config"]["crop_target"]),
    )
    exact = stated_tolerances(given)[0]
    error = (images - given.tensors["out/crop_images"]).abs()
    assert error.max() <= 1 / 255 + exact
    assert (error > exact).float().mean() < 0.001
    torch.testing.assert_close(intrinsics, given.tensors["out/crop_intrinsics"], rtol=0, atol=exact)


def test_crop_to_multiple_agrees_with_the_golden(stated_tolerances):
    given = golden("mvsplat_data_shims")
    images, intrinsics = crop_to_multiple(
        given.tensors["in/patch_images"],
        given.tensors["in/patch_intrinsics"],
        given.info["config"]["patch_size"],
    )
    exact = stated_tolerances(given)[0]
    torch.testing.assert_close(images, given.tensors["out/patch_images"], rtol=0, atol=exact)
    torch.testing.assert_close(
        intrinsics, given.tensors["out/patch_intrinsics"], rtol=0, atol=exact
    )


@settings(max_examples=25, deadline=None)
@drawn(
    size=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    rule=st.sampled_from(["resize", "crop"]),
)
def test_any_size_becomes_legal_and_keeps_where_a_ray_lands(size, rule):
    if rule == "crop" and (size[0] % 2 or size[1] % 2):
        size = size[0] // 2 * 2, size[1] // 2 * 2
    config = MVSplatConfig(weights="random", size_rule=rule)
    scene = fake_scene(size=size)
    prepared = prepare_inputs(scene, config)
    height, width = prepared.views.images.shape[-2:]
    multiple = config.encoder.legal_multiple
    assert height % multiple == 0
    assert width % multiple == 0
    ray = torch.tensor([0.1, -0.05, 1.0])
    before = (scene.inputs.intrinsics[0] @ ray)[:2] / torch.tensor([size[1], size[0]]) - 0.5
    after = (prepared.views.intrinsics[0, 0] @ ray)[:2] - 0.5
    shown = torch.tensor([width / size[1], height / size[0]]) if rule == "crop" else 1.0
    torch.testing.assert_close(after * shown, before)
    assert bool(prepared.warnings) == ((height, width) != size)


def test_the_strict_rule_names_the_nearest_legal_size():
    config = MVSplatConfig(weights="random", size_rule="strict")
    with pytest.raises(SceneError, match="multiples of 16") as caught:
        prepare_inputs(fake_scene(size=(34, 48)), config)
    assert "48x32" in caught.value.hint
    prepare_inputs(fake_scene(size=(32, 48)), config)


def test_the_encode_size_is_independent_of_the_scene_size():
    config = MVSplatConfig(weights="random", encode_size=(32, 32))
    assert prepare_inputs(fake_scene(size=(48, 80)), config).views.images.shape[-2:] == (32, 32)
    cropped = config.model_copy(update={"size_rule": "crop"})
    assert prepare_inputs(fake_scene(size=(48, 80)), cropped).views.images.shape[-2:] == (32, 32)


def test_the_crop_rule_refuses_to_enlarge_and_odd_sides():
    config = MVSplatConfig(weights="random", encode_size=(64, 64), size_rule="crop")
    with pytest.raises(SceneError, match="smaller than the encode size"):
        prepare_inputs(fake_scene(size=(48, 80)), config)
    with pytest.raises(SceneError, match="even sides"):
        prepare_inputs(fake_scene(size=(33, 32)), config.model_copy(update={"encode_size": None}))


def test_too_small_images_are_refused():
    with pytest.raises(SceneError, match="at least 16"):
        prepare_inputs(fake_scene(size=(8, 32)), MVSplatConfig(weights="random"))


def test_one_input_is_refused_with_what_to_do():
    scene = fake_scene()
    lonely = replace(scene, images=scene.images[:1], inputs=scene.inputs[[0]], order=None)
    with pytest.raises(SceneError, match="at least 2 inputs, got 1") as caught:
        prepare_inputs(lonely, MVSplatConfig(weights="random"))
    assert "Add another posed photo" in caught.value.hint


@pytest.mark.parametrize("what", ["image", "pose", "size"])
def test_unusable_inputs_are_refused(what):
    scene = fake_scene()
    if what == "image":
        images = scene.images.clone()
        images[0, 0, 0, 0] = float("nan")
        broken = replace(scene, images=images)
    elif what == "pose":
        poses = scene.inputs.world_from_camera.clone()
        poses[1, 0, 3] = float("nan")
        broken = replace(scene, inputs=replace(scene.inputs, world_from_camera=poses))
    else:
        broken = replace(scene, images=scene.images[..., :-1])
    with pytest.raises(SceneError):
        prepare_inputs(broken, MVSplatConfig(weights="random"))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ((2.0, 9.0), (2.0, 9.0)),
        ((None, None), (1.0, 100.0)),
        ((3.0, None), (3.0, 300.0)),
        ((None, 50.0), (0.5, 50.0)),
    ],
)
def test_the_depth_range_comes_from_the_scene_else_from_the_reference(known, expected):
    scene = replace(fake_scene(), near=None, far=None)
    config = MVSplatConfig(weights="random", near=known[0], far=known[1])
    if None not in known:  # a scene knows both or neither
        scene, config = replace(scene, near=known[0], far=known[1]), MVSplatConfig(weights="random")
    prepared = prepare_inputs(scene, config)
    assert (prepared.near, prepared.far) == expected
    assert any("depth range" in warning for warning in prepared.warnings) == (None in known)
    torch.testing.assert_close(prepared.unit * prepared.views.near, torch.full((1, 2), expected[0]))
    torch.testing.assert_close(prepared.unit * prepared.views.far, torch.full((1, 2), expected[1]))


def test_the_encoder_works_in_units_of_near_unless_told_otherwise():
    scene = replace(fake_scene(), near=2.0, far=9.0)
    config = MVSplatConfig(weights="random")
    trained = prepare_inputs(scene, config)
    assert (trained.unit, float(trained.views.near[0, 0]), float(trained.views.far[0, 0])) == (
        2.0,
        1.0,
        4.5,
    )
    torch.testing.assert_close(
        2 * trained.views.world_from_camera[0, :, :3, 3], scene.inputs.centres
    )
    upstream = prepare_inputs(scene, config.model_copy(update={"normalise_scale": False}))
    assert (upstream.unit, float(upstream.views.near[0, 0])) == (1.0, 2.0)
    torch.testing.assert_close(
        upstream.views.world_from_camera[0], scene.inputs.world_from_camera, rtol=0, atol=0
    )


def test_the_options_overrule_the_depth_range_of_the_scene():
    config = MVSplatConfig(weights="random", near=0.5, far=7)
    prepared = prepare_inputs(fake_scene(), config)
    assert (prepared.near, prepared.far, prepared.warnings) == (0.5, 7.0, ())


@pytest.mark.parametrize("bad", [(5.0, 2.0), (-1.0, 2.0), (1.0, float("inf"))])
def test_an_unusable_depth_range_is_refused(bad):
    with pytest.raises(SceneError, match="0 < near < far"):
        prepare_inputs(
            replace(fake_scene(), near=bad[0], far=bad[1]), MVSplatConfig(weights="random")
        )


def test_inputs_from_one_place_are_warned_about():
    scene = fake_scene()
    twice = replace(scene, inputs=scene.inputs[[0, 0]])
    warnings = prepare_inputs(twice, MVSplatConfig(weights="random")).warnings
    assert any("parallax" in warning for warning in warnings)

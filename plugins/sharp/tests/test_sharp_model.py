from dataclasses import replace

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sphinx_framework.errors import JobError
from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.testing.contracts import RegressionContract
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_sharp.compose import linear_from_srgb, srgb_from_linear
from sphinx_framework_sharp.config import NetworkConfig, SharpConfig
from sphinx_framework_sharp.model import Sharp
from sphinx_framework_sharp.world import frustum_to_world, nearest_inputs

CPU = torch.device("cpu")


class TestContract(RegressionContract):
    @pytest.fixture(autouse=True)
    def _built(self, tiny_model):
        self.model = tiny_model

    def make(self):
        return self.model


def one_photo(size=(48, 64), **changes):
    scene = fake_scene(targets=2, inputs=1, size=size)
    return replace(scene, targets=scene.inputs[[0, 0]], order=None, **changes)


@settings(max_examples=6, deadline=None)
@drawn(inputs=st.integers(1, 3), size=st.tuples(st.integers(16, 70), st.integers(16, 70)))
def test_any_size_of_photo_is_rendered_at_the_size_of_the_scene(tiny_model, inputs, size):
    coarse = tiny_model.predict(fake_scene(targets=3, inputs=inputs, size=size))
    assert coarse.images.shape == (3, 3, *size)
    side = tiny_model.config.network.image_size // 2
    assert len(coarse.gaussians.means) == 2 * side * side


def test_the_nearest_content_of_the_photo_lies_at_near(tiny_model):
    scene = one_photo(near=3.0, far=50.0)
    coarse = tiny_model.predict(scene)
    z = (coarse.gaussians.means - scene.inputs.centres[0]) @ scene.inputs.world_from_camera[
        0, :3, 2
    ]
    below = float((z < 3.0 * 0.999).float().mean())
    assert float((z < 3.0 * 1.001).float().mean()) > 0
    assert below <= 0.011
    assert any("near (3)" in warning for warning in coarse.warnings)


def test_a_known_unit_is_used_and_nothing_is_said(tiny_config):
    one, two = (
        Sharp(tiny_config.model_copy(update={"units_per_metre": value}), CPU).predict(one_photo())
        for value in (1.0, 2.5)
    )
    assert one.warnings == two.warnings == ()
    centre = one_photo().inputs.centres[0]
    torch.testing.assert_close(
        two.gaussians.means - centre, 2.5 * (one.gaussians.means - centre), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        two.gaussians.covariances, 2.5**2 * one.gaussians.covariances, rtol=1e-4, atol=1e-6
    )


def test_an_unknown_unit_is_a_metre_with_a_warning(tiny_model):
    coarse = tiny_model.predict(one_photo(near=None, far=None))
    assert any("units_per_metre" in warning for warning in coarse.warnings)


def test_the_unit_does_not_change_the_view_of_the_photo_itself(tiny_config):
    views = [
        Sharp(tiny_config.model_copy(update={"units_per_metre": value}), CPU).predict(one_photo())
        for value in (0.5, 4.0)
    ]
    torch.testing.assert_close(views[0].images, views[1].images, rtol=1e-3, atol=1e-3)
    assert views[0].opacity.mean() > 0.5


def test_every_gaussian_lies_on_the_ray_of_its_pixels(tiny_config):
    """An off-centre principal point and two focal lengths are exact."""
    scene = one_photo(size=(40, 64))
    k = torch.tensor([[[50.0, 0, 20], [0, 70.0, 31], [0, 0, 1]]])
    camera = replace(scene.inputs, intrinsics=k)
    frame = frustum_to_world(camera, 1.0)
    # The corner of the image, at depth 2: (x z, y z, z) = (-2, -2, 2).
    corner = frame[:3, :3] @ torch.tensor([-2.0, -2, 2], dtype=torch.float64) + frame[:3, 3]
    pose = torch.linalg.inv(camera.world_from_camera[0].double())
    seen = k[0].double() @ (pose[:3, :3] @ corner + pose[:3, 3])
    torch.testing.assert_close(seen / seen[2], torch.tensor([0.0, 0, 1], dtype=torch.float64))
    assert float(seen[2]) == pytest.approx(2)


def test_gaussians_handed_on_have_srgb_colours(tiny_model):
    coarse = tiny_model.predict(one_photo())
    grey = harmonics_from_colours(torch.zeros(1, 3))
    per_colour = harmonics_from_colours(torch.ones(1, 3)) - grey
    colours = ((coarse.gaussians.harmonics - grey) / per_colour)[..., 0]
    assert colours.min() >= 0
    assert colours.max() <= 1
    # The base colour is the photo's, changed by little: brighter than its linear values.
    photo = one_photo().images.mean()
    assert abs(float(colours.mean() - photo)) < 0.1


@drawn(value=st.floats(0, 1))
def test_srgb_is_decoded_and_encoded_back(value):
    colour = torch.tensor([value])
    torch.testing.assert_close(
        srgb_from_linear(linear_from_srgb(colour)), colour, rtol=1e-4, atol=1e-4
    )


def test_a_target_is_served_by_the_photo_beside_it_that_looks_its_way(tiny_model):
    scene = fake_scene(targets=1, inputs=3)
    assert nearest_inputs(scene.inputs, scene.inputs).tolist() == [0, 1, 2]
    turned = scene.inputs.world_from_camera.clone()
    turned[1, :3, :3] = turned[1, :3, :3] @ torch.diag(torch.tensor([-1.0, 1, -1]))
    away = replace(scene.inputs, world_from_camera=turned)
    middle = scene.inputs[[1]]
    assert nearest_inputs(away, middle).item() != 1
    at_inputs = replace(scene, targets=scene.inputs, order=None)
    told = tiny_model.predict(at_inputs).warnings
    assert any("3 of 3 inputs are used" in warning for warning in told)


def test_photos_that_serve_no_target_are_not_encoded(tiny_model, monkeypatch):
    scene = fake_scene(targets=1, inputs=3)
    encoded = []
    encode = tiny_model.encode
    monkeypatch.setattr(
        tiny_model, "encode", lambda image, focal: encoded.append(image) or encode(image, focal)
    )
    tiny_model.predict(replace(scene, targets=scene.inputs[[2]], order=None))
    assert len(encoded) == 1
    assert torch.equal(encoded[0], scene.images[2])


def test_targets_that_see_nothing_have_no_opacity(tiny_model):
    scene = one_photo()
    poses = scene.targets.world_from_camera.clone()
    poses[:, :3, :3] = poses[:, :3, :3] @ torch.diag(torch.tensor([-1.0, 1, -1]))
    away = replace(scene, targets=replace(scene.targets, world_from_camera=poses))
    assert tiny_model.predict(away).opacity.max() < 0.01


def test_numbers_that_are_not_finite_are_reported(tiny_config):
    model = Sharp(tiny_config, CPU)
    with torch.no_grad():
        model.network.prediction_head.texture_prediction_head.bias.fill_(float("nan"))
    with pytest.raises(JobError, match="NaN or infinity in float32"):
        model.predict(one_photo())


def test_bfloat16_transformers_come_close(tiny_config, tiny_model):
    half = Sharp(tiny_config.model_copy(update={"dtype": "bfloat16"}), CPU)
    expected, came = (m.predict(one_photo()).images for m in (tiny_model, half))
    assert came.dtype == torch.float32
    assert float((came - expected).abs().mean()) < 0.05


def test_what_rendering_never_reads_is_dropped(tiny_model):
    kept = tiny_model.network.state_dict()
    assert not any("depth_alignment" in k or "encoder.head" in k for k in kept)
    assert not any("decoder.fusions.4.resnet1" in k for k in kept)


def test_overlapping_tiles_need_their_token_grid():
    with pytest.raises(ValidationError, match="24 tokens along a side, not 2"):
        NetworkConfig.model_validate({"vit": {"img_size": 32}})
    with pytest.raises(ValidationError, match="patch_size must be 16"):
        SharpConfig.model_validate({"network": {"vit": {"img_size": 48, "patch_size": 2}}})
    with pytest.raises(ValidationError, match="hook_ids"):
        NetworkConfig.model_validate({"vit": {"depth": 4}})

from dataclasses import replace

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from sphinx_framework.errors import ConfigError, JobError, SceneError, WeightsError
from sphinx_framework.testing.contracts import RegressionContract
from sphinx_framework.testing.fakes import fake_cameras, fake_scene
from sphinx_framework.types import Cameras
from sphinx_framework_mvsplat.config import MVSplatConfig
from sphinx_framework_mvsplat.model import MVSplat

CPU = torch.device("cpu")


class TestContract(RegressionContract):
    @pytest.fixture(autouse=True)
    def _built(self, tiny_model):
        self.model = tiny_model

    def make(self):
        return self.model


def with_poses(cameras: Cameras, change) -> Cameras:
    return replace(cameras, world_from_camera=change(cameras.world_from_camera))


@settings(max_examples=8, deadline=None)
@drawn(
    inputs=st.integers(2, 4),
    targets=st.integers(1, 5),
    size=st.tuples(st.integers(16, 40), st.integers(16, 40)),
)
def test_all_targets_are_rendered_at_the_size_of_the_scene(tiny_model, inputs, targets, size):
    coarse = tiny_model.predict(fake_scene(targets=targets, inputs=inputs, size=size))
    assert coarse.images.shape == (targets, 3, *size)
    assert coarse.opacity.shape == coarse.depth.shape == (targets, *size)
    for values in (coarse.images, coarse.opacity):
        assert values.min() >= 0
        assert values.max() <= 1
    multiple = tiny_model.config.encoder.legal_multiple
    assert len(coarse.gaussians.means) % (inputs * multiple**2) == 0


def test_the_same_scene_gives_the_same_views(tiny_model):
    first, second = (tiny_model.predict(fake_scene()) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert first.opacity.mean() > 0.5


def test_gaussians_lie_between_near_and_far_along_their_rays(tiny_model):
    scene = replace(fake_scene(), near=2.0, far=5.0)
    gaussians = tiny_model.predict(scene).gaussians
    per_view = gaussians.means.unflatten(0, (len(scene.inputs), -1))
    distance = (per_view - scene.inputs.centres[:, None]).norm(dim=-1)
    assert distance.min() > 2.0 - 1e-4
    assert distance.max() < 5.0 + 1e-4


def test_moving_the_world_moves_the_gaussians_and_keeps_what_is_seen(tiny_model):
    scene = fake_scene()
    twist = torch.tensor([[0, -0.4, 0.2], [0.4, 0, -0.3], [-0.2, 0.3, 0]])
    move = torch.eye(4)
    move[:3, :3] = torch.linalg.matrix_exp(twist)
    move[:3, 3] = torch.tensor([1.0, -2.0, 0.5])
    moved = replace(
        scene,
        inputs=with_poses(scene.inputs, lambda pose: move @ pose),
        targets=with_poses(scene.targets, lambda pose: move @ pose),
    )
    before, after = tiny_model.predict(scene), tiny_model.predict(moved)
    expected = before.gaussians.means @ move[:3, :3].T + move[:3, 3]
    torch.testing.assert_close(after.gaussians.means, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.opacity, before.opacity, rtol=1e-2, atol=1e-2)


def test_scaling_the_world_with_its_depth_range_scales_only_the_depth(tiny_model):
    scene = fake_scene()

    def scaled(pose):
        bigger = pose.clone()
        bigger[:, :3, 3] *= 3
        return bigger

    big = replace(
        scene,
        near=3 * scene.near,
        far=3 * scene.far,
        inputs=with_poses(scene.inputs, scaled),
        targets=with_poses(scene.targets, scaled),
    )
    before, after = tiny_model.predict(scene), tiny_model.predict(big)
    torch.testing.assert_close(after.images, before.images, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.depth, 3 * before.depth, rtol=1e-3, atol=1e-2)


def test_exact_and_centred_rendering_differ_only_off_centre(tiny_model, tiny_config):
    upstream = MVSplat(tiny_config.model_copy(update={"principal_point": "centred"}), CPU)
    scene = fake_scene()
    torch.testing.assert_close(
        upstream.predict(scene).images, tiny_model.predict(scene).images, rtol=1e-3, atol=1e-3
    )
    intrinsics = scene.targets.intrinsics.clone()
    intrinsics[:, 0, 2] += 6
    off = replace(scene, targets=replace(scene.targets, intrinsics=intrinsics))
    exact = tiny_model.predict(off).images
    assert (upstream.predict(off).images - exact).abs().mean() > 1e-3
    # Moving the principal point by whole pixels moves the image by as many.
    shift = exact[..., 6:] - tiny_model.predict(scene).images[..., :-6]
    assert shift.abs().mean() < 1e-2


def test_the_background_shows_where_the_opacity_is_low(tiny_config):
    white = MVSplat(tiny_config.model_copy(update={"background": (1.0, 1.0, 1.0)}), CPU)
    black = MVSplat(tiny_config, CPU)
    on_white, on_black = white.predict(fake_scene()), black.predict(fake_scene())
    hole = 1 - on_black.opacity[:, None]
    expected = (on_black.images + hole).clamp(0, 1)
    inside = on_white.images < 1
    torch.testing.assert_close(on_white.images[inside], expected[inside], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_reduced_precision_stays_close_to_float32(tiny_model, tiny_config, dtype):
    reduced = MVSplat(tiny_config.model_copy(update={"dtype": dtype}), CPU)
    scene = fake_scene()
    expected, actual = tiny_model.predict(scene), reduced.predict(scene)
    assert actual.images.dtype == torch.float32
    assert (actual.images - expected.images).abs().mean() < 0.05


def test_targets_that_look_away_have_no_opacity(tiny_model):
    scene = fake_scene(targets=4)
    poses = scene.targets.world_from_camera.clone()
    poses[2, :3, :3] = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    turned = replace(scene, targets=replace(scene.targets, world_from_camera=poses))
    seen = tiny_model.predict(turned).opacity.mean((1, 2))
    assert seen[2] < 0.01 < seen[[0, 1, 3]].min()


def test_a_scene_of_another_unit_than_the_assumed_range_is_empty_and_names_that_range(tiny_model):
    def apart(cameras):
        def moved(pose):
            far = pose.clone()
            far[:, :3, 3] *= 1000
            return far

        return with_poses(cameras, moved)

    scene = replace(fake_scene(3, 2, (64, 64)), near=None, far=None)
    scene = replace(scene, inputs=apart(scene.inputs), targets=apart(scene.targets))
    coarse = tiny_model.predict(scene)
    assert coarse.opacity.mean() < 0.01
    assert any("1 to 100" in warning for warning in coarse.warnings)


def test_one_input_is_refused(tiny_model):
    scene = fake_scene()
    with pytest.raises(SceneError, match="at least 2 inputs"):
        tiny_model.predict(
            replace(scene, images=scene.images[:1], inputs=fake_cameras(1, (32, 32)), order=None)
        )


def test_an_unknown_rasterizer_is_refused(tiny_config):
    model = MVSplat(tiny_config.model_copy(update={"rasterizer": "opengl"}), CPU)
    with pytest.raises(ConfigError, match="opengl"):
        model.predict(fake_scene())


def test_weights_that_produce_nan_are_reported(tiny_config):
    model = MVSplat(tiny_config, CPU)
    model.encoder.depth_predictor.to_gaussians[2].bias.fill_(float("nan"))
    with pytest.raises(JobError, match="NaN or infinity"):
        model.predict(fake_scene())


def test_absent_weights_are_reported_on_construction(tmp_path):
    with pytest.raises(WeightsError, match=r"re10k\.ckpt is not in"):
        MVSplat(MVSplatConfig(weights_folder=str(tmp_path)), CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_cpu(tiny_model, tiny_config):
    expected = tiny_model.predict(fake_scene())
    actual = MVSplat(tiny_config, torch.device("cuda")).predict(fake_scene())
    assert (actual.images.cpu() - expected.images).abs().mean() < 1e-2

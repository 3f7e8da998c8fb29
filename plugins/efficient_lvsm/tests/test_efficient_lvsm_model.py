"""The regression model: its contract, what it keeps, what that costs, what it refuses."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from goldens import defined_arithmetic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from sphinx_framework.errors import JobError, SceneError
from sphinx_framework.testing.contracts import RegressionContract
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import Scene
from sphinx_framework_efficient_lvsm.config import EfficientLVSMConfig, NetworkConfig
from sphinx_framework_efficient_lvsm.memory import SceneMemory
from sphinx_framework_efficient_lvsm.model import EfficientLVSM

CPU = torch.device("cpu")
SIZE = (32, 48)
RAYS_AND_POSES = 1000  # flops of finding the frame
SLACK = 0.03  # rays cost up to this share of so narrow a network; one encoding more costs a fifth


class TestContract(RegressionContract):
    @pytest.fixture(autouse=True)
    def _built(self, tiny_model):
        self.model = tiny_model

    def make(self):
        return self.model


def part(scene: Scene, inputs: list[int], targets: list[int]) -> Scene:
    return Scene(
        images=scene.images[inputs],
        inputs=scene.inputs[inputs],
        targets=scene.targets[targets],
        near=scene.near,
        far=scene.far,
    )


def flops(call: Callable) -> int:
    """Counted with attention by its formula: the counter knows no fused kernel of the CPU."""
    with defined_arithmetic(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def expected_macs(sizes: NetworkConfig, encoded: int, rendered: int, seen: int) -> int:
    """Multiply-adds of one request of SIZE, summed over its layers by hand."""
    d, p = sizes.d, sizes.patch_size or 8
    n = SIZE[0] * SIZE[1] // p**2
    own = 14 * d**2 + 2 * n * d
    layers = encoded * n * own + rendered * n * (own + 2 * seen * n * d)
    return sizes.n_layer * layers + (encoded * 9 + rendered * 9) * n * p**2 * d


@pytest.mark.parametrize("inputs", [2, 3, 5])
def test_a_request_costs_what_the_formula_says(tiny_config, inputs) -> None:
    model = EfficientLVSM(tiny_config, CPU)
    scene = fake_scene(3, inputs, SIZE)
    expected = expected_macs(tiny_config.network, inputs, 3, inputs)
    assert flops(lambda: model.predict(scene)) == pytest.approx(2 * expected, rel=SLACK)


def test_a_second_request_costs_only_what_is_new(tiny_config) -> None:
    sizes = tiny_config.network
    whole = fake_scene(4, 4, SIZE)
    model = EfficientLVSM(tiny_config, CPU)
    model.predict(part(whole, [0, 1, 2], [0, 1]))
    same = flops(lambda: model.predict(part(whole, [0, 1, 2], [0, 1])))
    assert same < RAYS_AND_POSES
    target = flops(lambda: model.predict(part(whole, [0, 1, 2], [0, 1, 2])))
    assert target == pytest.approx(2 * expected_macs(sizes, 0, 1, 3), rel=SLACK)
    view = flops(lambda: model.predict(part(whole, [0, 1, 2, 3], [3])))
    assert view == pytest.approx(2 * expected_macs(sizes, 1, 1, 4), rel=SLACK)
    fewer = flops(lambda: model.predict(part(whole, [0, 1, 3], [3])))
    assert fewer == pytest.approx(2 * expected_macs(sizes, 0, 1, 3), rel=SLACK)


requests = st.lists(
    st.tuples(
        st.lists(st.integers(2, 4), max_size=3, unique=True),
        st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
    ),
    min_size=1,
    max_size=5,
)


@given(asked=requests, limit=st.sampled_from([0, 40_000, 10**9]))
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_is_kept_never_changes_a_bit_of_the_result(tiny_config, asked, limit) -> None:
    whole = fake_scene(4, 5, SIZE)
    kept = EfficientLVSM(tiny_config.model_copy(update={"memory_bytes": limit}), CPU)
    anew = EfficientLVSM(tiny_config.model_copy(update={"memory_bytes": 0}), CPU)
    for more, targets in asked:
        scene = part(whole, [0, 1, *more], targets)
        assert torch.equal(kept.predict(scene).images, anew.predict(scene).images)
        assert kept.memory.nbytes <= limit
    assert len(anew.memory) == 0


@pytest.mark.parametrize("what", ["pixel", "pose", "focal", "target pose", "target focal"])
def test_a_change_of_anything_seen_is_noticed(tiny_model, what) -> None:
    scene = fake_scene(2, 3, SIZE)
    before = tiny_model.predict(scene).images
    if what == "pixel":
        images = scene.images.clone()
        images[2, 0, 5, 7] = 1 - images[2, 0, 5, 7]
        changed = replace(scene, images=images)
    else:
        role = "targets" if what.startswith("target") else "inputs"
        cameras = getattr(scene, role)
        poses, intrinsics = cameras.world_from_camera.clone(), cameras.intrinsics.clone()
        if what.endswith("pose"):
            poses[-1, 0, 3] += 0.1
        else:
            intrinsics[-1, 0, 0] *= 1.1
        cameras = replace(cameras, world_from_camera=poses, intrinsics=intrinsics)
        changed = replace(scene, **{role: cameras})
    after = tiny_model.predict(changed).images
    assert not torch.equal(after, before)
    fresh = EfficientLVSM(tiny_model.config, CPU)
    assert torch.equal(fresh.predict(changed).images, after)


def test_a_memory_of_ones_own_is_used_and_models_do_not_share_entries(tiny_config) -> None:
    first = EfficientLVSM(tiny_config, CPU)
    second = EfficientLVSM(tiny_config.model_copy(update={"seed": 1}), CPU)
    scene, memory = fake_scene(2, 2, SIZE), SceneMemory(10**9)
    expected = second.predict(scene).images
    shown = first.predict(scene, memory).images
    assert len(memory) == 4
    assert len(first.memory) == 0
    assert torch.equal(second.predict(scene, memory).images, expected)
    assert not torch.equal(shown, expected)


def test_callers_cannot_spoil_what_is_kept(tiny_model) -> None:
    scene = fake_scene(2, 2, SIZE)
    first = tiny_model.predict(scene).images
    expected = first.clone()
    first.zero_()
    assert torch.equal(tiny_model.predict(scene).images, expected)


def test_nothing_is_claimed_that_the_model_does_not_know(tiny_model) -> None:
    coarse = tiny_model.predict(fake_scene(2, 2, SIZE))
    assert coarse.opacity is None
    assert coarse.depth is None
    assert coarse.gaussians is None


def test_the_order_of_the_photos_does_not_matter_in_a_frame_of_all_cameras(tiny_config) -> None:
    model = EfficientLVSM(tiny_config.model_copy(update={"frame": "all"}), CPU)
    scene = fake_scene(2, 4, SIZE)
    turned = part(scene, [2, 0, 3, 1], [0, 1])
    torch.testing.assert_close(
        model.predict(turned).images,
        model.predict(part(scene, [0, 1, 2, 3], [0, 1])).images,
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("frame", ["first-inputs", "all"])
def test_unit_and_place_of_the_world_do_not_matter(tiny_config, frame) -> None:
    model = EfficientLVSM(tiny_config.model_copy(update={"frame": frame}), CPU)
    scene = fake_scene(3, 3, SIZE)
    twist = torch.tensor([[0, -0.4, 0.2], [0.4, 0, -0.3], [-0.2, 0.3, 0]])
    move = torch.eye(4)
    move[:3, :3] = torch.linalg.matrix_exp(twist)

    def moved(cameras):
        poses = cameras.world_from_camera.clone()
        poses[:, :3, 3] = 3 * poses[:, :3, 3] + torch.tensor([1.0, -2.0, 0.5])
        return replace(cameras, world_from_camera=move @ poses)

    other = replace(scene, inputs=moved(scene.inputs), targets=moved(scene.targets))
    torch.testing.assert_close(
        model.predict(other).images, model.predict(scene).images, rtol=1e-3, atol=1e-3
    )


def test_one_photo_takes_its_unit_from_all_cameras_and_says_so(tiny_model) -> None:
    coarse = tiny_model.predict(fake_scene(3, 1, SIZE))
    assert torch.isfinite(coarse.images).all()
    assert any("unit of length" in warning for warning in coarse.warnings)
    assert tiny_model.predict(fake_scene(3, 2, SIZE)).warnings == ()


def test_a_single_camera_for_everything_is_no_division_by_zero(tiny_model) -> None:
    scene = fake_scene(1, 1, SIZE)
    still = replace(scene, targets=scene.inputs)
    assert torch.isfinite(tiny_model.predict(still).images).all()


def test_cameras_that_look_at_each_other_have_a_frame(tiny_model) -> None:
    scene = fake_scene(2, 2, SIZE)
    poses = scene.inputs.world_from_camera.clone()
    poses[1] = poses[0] @ torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    poses[1, :3, 3] += 1
    facing = replace(scene, inputs=replace(scene.inputs, world_from_camera=poses))
    assert torch.isfinite(tiny_model.predict(facing).images).all()


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(size=st.tuples(st.integers(5, 60), st.integers(5, 60)), short=st.sampled_from([None, 24]))
def test_any_size_is_rendered_at_the_size_of_the_scene(tiny_config, size, short) -> None:
    model = EfficientLVSM(tiny_config.model_copy(update={"short_side": short}), CPU)
    coarse = model.predict(fake_scene(2, 2, size))
    assert coarse.images.shape == (2, 3, *size)
    assert coarse.images.min() >= 0
    assert coarse.images.max() <= 1
    legal = short is None and size[0] % 8 == 0 and size[1] % 8 == 0
    if short is None:
        assert (coarse.warnings == ()) == legal


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_reduced_precision_stays_close_to_float32(tiny_model, tiny_config, dtype) -> None:
    reduced = EfficientLVSM(tiny_config.model_copy(update={"dtype": dtype}), CPU)
    scene = fake_scene(2, 2, SIZE)
    expected, actual = tiny_model.predict(scene), reduced.predict(scene)
    assert actual.images.dtype == torch.float32
    assert (actual.images - expected.images).abs().mean() < 0.02
    assert reduced.memory.nbytes < tiny_model.memory.nbytes


def test_weights_that_produce_nan_are_reported(tiny_config) -> None:
    model = EfficientLVSM(tiny_config, CPU)
    model.network.image_token_decoder[1].weight.fill_(float("nan"))
    with pytest.raises(JobError, match="NaN or infinity"):
        model.predict(fake_scene(1, 2, SIZE))
    assert len(model.memory) == 2


def test_a_scene_that_does_not_hold_together_is_refused(tiny_model) -> None:
    scene = fake_scene(1, 2, SIZE)
    with pytest.raises(SceneError):
        tiny_model.predict(replace(scene, images=scene.images[:1], order=None))


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of d_head"):
        NetworkConfig(d=48, d_head=32)
    with pytest.raises(ValueError, match="Extra inputs"):
        EfficientLVSMConfig(opacity=1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_cpu(tiny_model, tiny_config) -> None:
    expected = tiny_model.predict(fake_scene(2, 2, SIZE))
    actual = EfficientLVSM(tiny_config, torch.device("cuda")).predict(fake_scene(2, 2, SIZE))
    assert (actual.images.cpu() - expected.images).abs().mean() < 1e-2

"""The model as the engine uses it: contract, whole requests, layouts, precision."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sphinx_framework.config import ComponentConfig, PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.protocols import SolverStep
from sphinx_framework.testing.contracts import DiffusionContract
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeMask,
    FakeQuality,
    FakeRegression,
    FakeSteps,
    fake_scene,
)
from sphinx_framework.testing.oracle import relative_error
from sphinx_framework.types import Cameras, ClipLayout, Scene
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.config import SevaConfig, Solver
from sphinx_framework_seva.layouts import clip_layouts
from sphinx_framework_seva.model import SevaModel
from sphinx_framework_seva.noise_levels import noise_levels
from sphinx_framework_seva.sampler import SevaSampler

Clip = Callable[..., tuple[Tensor, SevaCondition]]
Make = Callable[..., SevaModel]
CPU = torch.device("cpu")


class TestContract(DiffusionContract):
    size = (48, 64)
    asked_steps = range(0, 50, 3)

    @pytest.fixture(autouse=True)
    def _model(self, model: SevaModel) -> None:
        self.model = model

    def make(self) -> SevaModel:
        return self.model


def engine(model: SevaModel, num_steps: int = 4) -> Engine:
    fakes = FakeConfig()
    components = Components(
        regression=FakeRegression(fakes, CPU),
        diffusion=model,
        quality=FakeQuality(fakes, CPU),
        mask=FakeMask(fakes, CPU),
        steps=FakeSteps(fakes, CPU),
        capabilities=Capabilities(frame_subset=True, block_sparse=True),
    )
    roles = ("regression", "diffusion", "quality", "mask", "steps")
    config = PipelineConfig(
        num_steps=num_steps,
        pipeline={role: ComponentConfig(use="given") for role in roles},
        evidence=EvidenceConfig(guard=False),  # random weights keep nothing of a render
    )
    return Engine(components, config)


@pytest.mark.parametrize("mode", ["diffusion", "coarse", "fine", "selective"])
def test_whole_requests_run_in_every_mode_and_repeat_exactly(model: SevaModel, mode: str) -> None:
    scene = fake_scene(3, 2, (32, 48))
    first = engine(model).render(scene, mode=mode, quality=1.0, seed=3)
    again = engine(model).render(scene, mode=mode, quality=1.0, seed=3)
    assert torch.isfinite(first.images).all()
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, first.coarse.images)


@given(
    inputs=st.integers(1, 4),
    targets=st.integers(1, 6),
    size=st.sampled_from([(32, 80), (80, 32), (48, 48), (16, 64)]),
    window=st.integers(6, 11),
    mode=st.sampled_from(["fine", "selective"]),
    data=st.data(),
)
@settings(max_examples=10, deadline=None, derandomize=True)
def test_any_number_and_place_of_inputs_in_portrait_and_landscape(
    make: Make, inputs, targets, size, window, mode, data
) -> None:
    scene = fake_scene(targets, inputs, size)
    cameras = Cameras(
        world_from_camera=torch.cat(
            [scene.inputs.world_from_camera, scene.targets.world_from_camera]
        ),
        intrinsics=torch.cat([scene.inputs.intrinsics, scene.targets.intrinsics]),
        image_size=size,
    )
    order = data.draw(st.permutations(range(inputs + targets)))
    scene = Scene(
        images=scene.images, inputs=cameras[order[:inputs]], targets=cameras[order[inputs:]]
    )
    model = make(clip_frames=window)
    result = engine(model, num_steps=3).render(scene, mode=mode, quality=1.0)
    assert result.images.shape == (targets, 3, *size)
    assert torch.isfinite(result.images).all()
    assert (len(result.schedules) > 1) == (inputs + targets > window)


@pytest.mark.parametrize("chunking", ["gt", "gt-nearest", "gt-ltr", "nearest-gt", "interp-gt"])
def test_more_targets_than_fit_one_pass_run_in_several(make: Make, chunking: str) -> None:
    scene = fake_scene(6, 2, (32, 32))
    model = make(clip_frames=6, chunking=chunking)
    result = engine(model, num_steps=2).render(scene, mode="fine", quality=1.0)
    assert len(result.schedules) > 1
    assert torch.isfinite(result.images).all()


STRATEGIES = [
    "gt",
    "gt-nearest",
    "gt-ltr",
    "nearest",
    "nearest-gt",
    "nearest-1",
    "nearest-2",
    "interp",
    "interp-gt",
]


@given(
    strategy=st.sampled_from(STRATEGIES),
    inputs=st.integers(1, 4),
    targets=st.integers(1, 40),
    window=st.integers(7, 12),
    ordered=st.booleans(),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_strategy_makes_every_target_once_from_what_is_finished(
    strategy, inputs, targets, window, ordered
) -> None:
    scene = fake_scene(targets, inputs, (16, 16))
    if not ordered:
        scene = type(scene)(images=scene.images, inputs=scene.inputs, targets=scene.targets)
    config = SevaConfig(chunking=strategy, clip_frames=window)
    layouts = clip_layouts(scene, config)
    finished: set[int] = set()
    for layout in layouts:
        assert len(layout) <= window
        first = layout.slots[0]
        assert first.kind == "input" or first.given
        for slot in layout.slots:
            assert not slot.given or slot.index in finished
        made = list(layout.targets.values())
        assert made
        assert not finished & set(made)
        finished |= set(made)
    assert finished == set(range(targets))


def test_two_inputs_lie_at_both_ends_of_the_clip(model: SevaModel) -> None:
    slots = model.layouts(fake_scene(3, 2, (32, 32)))[0].slots
    assert [(s.kind, s.index) for s in slots] == [
        ("input", 0),
        ("target", 0),
        ("target", 1),
        ("target", 2),
        ("input", 1),
    ]


def test_the_order_of_slots_after_the_first_does_not_matter(model: SevaModel) -> None:
    scene = fake_scene(3, 2, (32, 48))
    coarse = FakeRegression(FakeConfig(), CPU).predict(scene)
    layout = model.layouts(scene)[0]
    order = [0, 3, 4, 1, 2]
    shuffled = ClipLayout(slots=tuple(layout.slots[i] for i in order))
    generator = torch.Generator().manual_seed(0)
    clean, x = torch.randn(2, 5, 4, 4, 6, generator=generator)
    schedule = model.sampler(50)
    given = model.condition(scene, coarse, layout, clean, schedule)
    straight = model.denoise(x, 10, given, DenseExecutor(5))
    given = model.condition(scene, coarse, shuffled, clean[order], schedule)
    result = model.denoise(x[order], 10, given, DenseExecutor(5))
    assert relative_error(result, straight[order]) < 1e-4


def test_finished_targets_condition_like_inputs(model: SevaModel) -> None:
    scene = fake_scene(3, 2, (32, 32))
    coarse = FakeRegression(FakeConfig(), CPU).predict(scene)
    slots = list(model.layouts(scene)[0].slots)
    slots[1] = type(slots[1])(kind="target", index=0, given=True)
    clean = torch.randn(5, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    layout = ClipLayout(slots=tuple(slots))
    condition = model.condition(scene, coarse, layout, clean, model.sampler(50))
    conditional = condition.replace.chunk(2)[1]
    assert torch.equal(conditional[1, :4], clean[1])
    assert conditional[:, 4].mean((1, 2)).tolist() == [1, 1, 0, 0, 1]


def test_sizes_that_the_latents_cannot_have_are_refused_with_the_nearest_legal_one(
    model: SevaModel,
) -> None:
    with pytest.raises(SceneError, match=r"multiples of 16.*nearest legal size is 32x48"):
        model.layouts(fake_scene(2, 2, (30, 45)))
    with pytest.raises(SceneError, match="multiples of 16"):
        model.encode(torch.zeros(1, 3, 8, 16))


def test_official_sizes_are_multiples_of_64() -> None:
    assert SevaConfig().coarsest * SevaModel.latent_factor == 64


def test_a_single_input_works_and_says_that_the_scale_is_unknown(model: SevaModel) -> None:
    scene = fake_scene(2, 1, (32, 32))
    assert "scale" in model.layouts(scene)[0].notes[0]
    result = engine(model, num_steps=2).render(scene, mode="diffusion")
    assert torch.isfinite(result.images).all()


def test_inputs_that_leave_no_room_for_targets_are_refused(make: Make) -> None:
    model = make(clip_frames=4, chunking="gt")
    with pytest.raises(ConfigError, match="4 conditioning frames leave no room"):
        model.layouts(fake_scene(3, 4, (32, 32)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_close_to_full(make: Make, clip: Clip, dtype: str) -> None:
    half, full = make(dtype=dtype), make()
    x, condition = clip(full)
    result = half.denoise(x, 25, condition, DenseExecutor(len(x)))
    expected = full.denoise(x, 25, condition, DenseExecutor(len(x)))
    assert result.dtype == torch.float32
    assert float((result - expected).norm() / expected.norm()) < 0.1
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert relative_error(half.encode(images), full.encode(images)) < 0.1
    assert half.decode(half.encode(images)).dtype == torch.float32


@pytest.mark.parametrize("options", [{"channels_last": True}, {"keep_modulations": False}])
def test_layout_and_memory_options_do_not_change_results(
    make: Make, model: SevaModel, clip: Clip, options: dict[str, Any]
) -> None:
    x, condition = clip(model)
    result = make(**options).denoise(x, 25, condition, DenseExecutor(len(x)))
    expected = model.denoise(x, 25, condition, DenseExecutor(len(x)))
    assert relative_error(result, expected) < 1e-5


def test_random_weights_follow_the_seed(make: Make) -> None:
    first, again, other = make(), make(), make(seed=1)
    key = "out.2.weight"
    assert torch.equal(first.network.state_dict()[key], again.network.state_dict()[key])
    assert not torch.equal(first.network.state_dict()[key], other.network.state_dict()[key])


def test_building_and_encoding_leave_the_global_random_state_alone(make: Make) -> None:
    before = torch.get_rng_state()
    make().encode(torch.zeros(1, 3, 16, 16))
    assert torch.equal(torch.get_rng_state(), before)


def test_step_noise_is_drawn_only_where_it_does_not_vanish() -> None:
    schedule = SevaSampler(noise_levels(), 50)
    assert schedule.deviation[0] == 0
    assert 1e-3 < schedule.deviation[10] < 1e-2
    x = torch.zeros(1, 4, 2, 2)
    for step, drawn in ((0, False), (9, True), (49, False)):
        calls: list[int] = []

        def draw(calls: list[int] = calls) -> Tensor:
            calls.append(1)
            return torch.ones_like(x)

        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=draw)
        schedule.advance(x, x, move)
        assert bool(calls) == drawn, step


def test_steps_beyond_the_known_noise_levels_are_refused(model: SevaModel) -> None:
    for num_steps in (0, 1001):
        with pytest.raises(ConfigError, match="between 1 and 1000"):
            model.sampler(num_steps)


@pytest.mark.parametrize("solver", ["dpmpp_2m", "unipc"])
def test_the_multistep_solver_walks_a_coarse_grid_to_the_clean_latents(solver: Solver) -> None:
    schedule = SevaSampler(noise_levels(), 50, solver=solver)
    clean = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    x = schedule.noised(clean, torch.ones_like(clean), 0)
    previous = earlier = None
    for step in range(0, 50, 10):
        move = SolverStep(
            step=step,
            next_step=step + 10,
            previous=previous,
            earlier=earlier,
            draw=lambda: torch.zeros(0),
        )
        x = schedule.advance(x, clean, move)
        previous, earlier = (step, clean), previous
    assert relative_error(x, clean) < 1e-5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [5, 20])
def test_unipc_walks_as_that_of_diffusers_by_noise_prediction(count: int) -> None:
    diffusers = pytest.importorskip("diffusers", exc_type=ImportError)
    schedule = SevaSampler(noise_levels(), count, solver="unipc")
    theirs = diffusers.UniPCMultistepScheduler(
        solver_order=2, prediction_type="epsilon", final_sigmas_type="zero"
    )
    theirs.set_timesteps(count)
    theirs.sigmas = torch.tensor(schedule.sigmas)
    theirs.set_begin_index(0)
    scaled = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    x = scaled * (1 + schedule.sigmas[0] ** 2) ** 0.5
    past: list[tuple[int, torch.Tensor]] = []
    for step, timestep in enumerate(theirs.timesteps):
        sigma = schedule.sigmas[step]
        noise = torch.tanh(x / (1 + sigma**2) ** 0.5 + 0.1 * step)
        previous, earlier = [*past, None, None][:2]
        move = SolverStep(
            step=step,
            next_step=step + 1,
            previous=previous,
            earlier=earlier,
            draw=lambda: torch.zeros(0),
        )
        clean = x - sigma * noise
        x, past = schedule.advance(x, clean, move), [(step, clean), *past]
        scaled = theirs.step(noise, timestep, scaled).prev_sample
        # Their state is variance-preserving.
        rooted = (1 + schedule.sigmas[step + 1] ** 2) ** 0.5
        torch.testing.assert_close(x / rooted, scaled, rtol=1e-3, atol=1e-3)

"""Measuring what full, frame-subset and block-sparse steps take on this machine."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.energy.choose import choose_meter
from sphinx_framework.energy.meter import measure_energy
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.events import StageDone
from sphinx_framework.engine.report import device_name
from sphinx_framework.engine.result import Seconds
from sphinx_framework.errors import CapabilityError
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.passes import frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.policy.cost import CostModel, StepKind, StepSample, fit_cost
from sphinx_framework.policy.cost_sizes import SizeCost
from sphinx_framework.protocols import StepPolicy, takes_evidence
from sphinx_framework.types import QualityReport, Scene, StartSteps

TILE_SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)
FEWEST_TURNS, MOST_TURNS = 3, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One clip, ready to be denoised, with a recorded cache.

    targets: latents of the clip that are made, not given.
    """

    model: Any
    x: Tensor
    targets: tuple[int, ...]
    step: int
    condition: Any
    cache: LatentCache

    @property
    def num_frames(self) -> int:
        """Frames of the clip."""
        return self.x.shape[0]


@torch.no_grad()
def prepare(engine: Engine, scene: Scene) -> Subject:
    """Encode and condition the scene's first clip, half-way down the noise schedule."""
    scene = scene.to(engine.device)
    model = engine.components.diffusion
    coarse = engine.components.regression.predict(scene)
    layout = model.layouts(scene)[0]
    frames = layout.stacked(scene.images, coarse.images)
    clean = model.encode(frames)
    schedule = model.sampler(engine.config.num_steps)
    condition = model.condition(scene, coarse, layout, clean, schedule)
    step = engine.config.num_steps // 2
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).to(clean)
    x = schedule.noised(clean, noise, step)
    return Subject(
        model=model,
        x=x,
        targets=tuple(layout.made),
        step=step,
        condition=condition,
        cache=LatentCache(),
    )


def configurations(
    subject: Subject, *, tiles: bool
) -> Iterator[tuple[StepKind, float, Callable[[], Tensor]]]:
    """Every step to time: its kind, the computed share of the clip, and the call.

    The full pass comes first, because it fills the cache that the others read. Tiles are spread
    over the targets, ``TILE_SHARES`` of theirs; the frames of all targets are timed too.
    """
    model, total = subject.model, subject.num_frames
    asked = model, subject.x, subject.step, subject.condition
    constants: dict[str, Tensor] = {}

    def full() -> Tensor:
        return full_pass(*asked, cache=subject.cache, tiles=tiles, constants=constants).answer()

    def frames_call(active: Tensor) -> Callable[[], Tensor]:
        return frames_pass(
            *asked,
            cache=subject.cache,
            frames=active,
            listed=active.tolist(),  # as the engine has them
            constants=constants,
        ).answer

    def tiles_call(active: Tensor) -> Callable[[], Tensor]:
        tile_set = TileSet.from_mask(active, subject.x.device)
        return tiles_pass(*asked, cache=subject.cache, tiles=tile_set, constants=constants).answer

    def dense() -> Tensor:
        return full_pass(*asked, constants=constants).answer()

    yield "full", 1.0, full
    yield "dense", 1.0, dense
    slots = torch.tensor(subject.targets)
    counts = sorted({1, 2, 3, max(1, total // 4), max(1, total // 2), len(slots)})
    for count in (c for c in counts if c <= len(slots)):
        spread = slots[torch.linspace(0, len(slots) - 1, count).round().long()]
        yield "frames", count / total, frames_call(spread.to(subject.x.device))
    if not tiles:
        return
    grid = (subject.x.shape[2] // model.tile, subject.x.shape[3] // model.tile)
    generator = torch.Generator().manual_seed(0)
    for share in TILE_SHARES:
        made = len(slots) * grid[0] * grid[1]
        chosen = torch.randperm(made, generator=generator)[: max(1, round(share * made))]
        marked = torch.zeros(made, dtype=torch.bool)
        marked[chosen] = True
        active = torch.zeros(total, *grid, dtype=torch.bool)
        active[slots] = marked.view(len(slots), *grid)
        yield "tiles", float(active.float().mean()), tiles_call(active)


@torch.no_grad()
def timed(
    calls: Sequence[Callable[[], Tensor]],
    device: torch.device,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median time of every call, after one warm-up, within a budget of wall time together.

    The calls take turns (at least three), so that a machine's slow minute falls on all of them.
    clock: of a call's time; ``time.process_time`` leaves out what a busy machine makes it wait.
    """
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    until = time.perf_counter() + seconds
    while len(times[0]) < FEWEST_TURNS or (
        time.perf_counter() < until and len(times[0]) < MOST_TURNS
    ):
        for own, call in zip(times, calls, strict=True):
            _synchronise(device)
            started = clock()
            call()
            _synchronise(device)
            own.append(clock() - started)
    return [median(own) for own in times]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class LastStep:
    """The pipeline's step policy, but every target starts at the last step."""

    def __init__(self, policy: StepPolicy) -> None:
        self.policy = policy

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Decide as usual, then refine as little as possible."""
        chosen = self.policy.start_steps(report, scene, quality, num_steps)
        return replace(chosen, steps=(num_steps - 1,) * len(chosen.steps))


def measure_stages(engine: Engine, scene: Scene, runs: int = 3) -> dict[str, float]:
    """Seconds of the stages around the loop: medians over whole requests that take one step."""
    plain = {"retry": False, "budget_ms": None, "budget_joules": None, "energy": "none"}
    config = engine.config.model_copy(
        update={
            "engine": engine.config.engine.model_copy(update=plain),
            "evidence": engine.config.evidence.model_copy(update={"min_opacity": 0.0}),
            "size": None,  # the scene's own
        }
    )
    components = replace(engine.components, steps=LastStep(engine.components.steps))
    brief = Engine(components, config, engine.device)
    slots = sum(layout.num_latents for layout in engine.components.diffusion.layouts(scene))
    brief.render(scene, mode="fine")
    before, times = zip(*(_timed_stages(brief, scene) for _ in range(runs)), strict=True)
    again = takes_evidence(brief.components.quality)  # others score renders as results once more
    scored = [b / max(t.quality, 1e-9) for b, t in zip(before, times, strict=True)]
    return {
        "regression_seconds": median(t.regression for t in times),
        "quality_seconds": median(t.quality for t in times),
        "quality_of_renders": min(1.0, median(scored)) if again else 1.0,
        "plan_seconds": median(t.plan for t in times),
        "encode_per_frame": median(t.encode for t in times) / slots,
        "decode_per_frame": median(t.decode for t in times) / len(scene.targets),
    }


def _timed_stages(engine: Engine, scene: Scene) -> tuple[float, Seconds]:
    """Seconds of the scores before the plan, and of all stages."""
    events = engine.stream(scene, mode="fine")
    scored = (e.seconds for e in events if isinstance(e, StageDone) and e.stage == "quality")
    return next(scored), events.result().report.seconds


def fewer_targets(scene: Scene, count: int) -> Scene:
    """The scene with its first targets only."""
    inputs = len(scene.inputs)
    return Scene(
        images=scene.images,
        inputs=scene.inputs,
        targets=scene.targets[list(range(count))],
        name=scene.name,
        near=scene.near,
        far=scene.far,
        order=None if scene.order is None else scene.order[: inputs + count],
    )


def measure_size(engine: Engine, scene: Scene, seconds: float, runs: int = 3) -> SizeCost:
    """One measurement at the scene's size and number of targets."""
    subject = prepare(engine, scene)
    (full,) = timed([_full_call(subject)], engine.device, seconds)
    height, width = scene.targets.image_size
    stages = measure_stages(engine, scene, runs)
    del stages["quality_of_renders"]  # a share, of any size
    return SizeCost(pixels=height * width, frames=subject.num_frames, full=full, **stages)


def _full_call(subject: Subject) -> Callable[[], Any]:
    """A full step that records nothing, as few-step plans take."""
    model, x, step, condition = subject.model, subject.x, subject.step, subject.condition
    return lambda: full_pass(model, x, step, condition).answer()


def measure_costs(
    engine: Engine, scene: Scene, seconds: float, others: Sequence[Scene] = ()
) -> tuple[CostModel, list[StepSample]]:
    """Time all steps within about ``seconds``, then the other stages, and fit the cost model.

    others: the scene at other sizes, which seconds are measured at, too, with all targets and with
    the first two.
    """
    subject = prepare(engine, scene)
    able = engine.components.capabilities
    if not able.frame_subset:
        raise CapabilityError(
            f"{engine.config.pipeline['diffusion'].use!r} runs full steps only.",
            hint="There is nothing to measure for a dense-only model.",
        )
    listed = list(configurations(subject, tiles=able.block_sparse))
    started = time.perf_counter()
    with measure_energy(choose_meter(engine.config.engine.energy, engine.device)) as energy:
        times = timed([call for _, _, call in listed], engine.device, seconds)
    elapsed = time.perf_counter() - started
    samples = [
        StepSample(kind=kind, share=share, seconds=took)
        for (kind, share, _), took in zip(listed, times, strict=True)
    ]
    height, width = scene.images.shape[-2:]
    where = (
        f"{device_name(engine.device)}, {subject.num_frames} frames of {height}x{width}, "
        f"{engine.config.pipeline['diffusion'].use}"
    )
    around = measure_stages(engine, scene)
    if energy.joules is not None:
        around["watts"] = energy.joules / elapsed
    fitted = fit_cost(samples, subject.num_frames, where).model_copy(
        update={**around, "pixels": height * width}
    )
    if others:
        counts = sorted({min(2, len(scene.targets)), len(scene.targets)})
        tried = [fewer_targets(at, count) for at in (scene, *others) for count in counts]
        share = seconds / len(tried)
        sizes = tuple(measure_size(engine, one, share) for one in tried)
        listed_sizes = ", ".join(sorted({f"{at.targets.image_size}" for at in others}))
        # The full step of the sizes records nothing; relative to it all steps are predicted.
        told = f"{where}; sizes {listed_sizes}"
        ratio = fitted.dense
        sizes = tuple(s.model_copy(update={"full": s.full / ratio}) for s in sizes)
        fitted = fitted.model_copy(update={"sizes": sizes, "measured": told})
    return fitted, samples

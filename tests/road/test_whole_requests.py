"""Whole requests of three pipelines on an emulated device: no mixes, and a quiet denoising loop.

Runs in a process of its own (see ``make test``): autograd counts its devices when it first runs,
and an earlier test's backward pass would leave the emulated one out.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sphinx_framework.config import load_config, overridden
from sphinx_framework.engine.components import build_components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.events import Finished, Planned, StageDone, StepDone
from sphinx_framework.engine.residence import networks_of, offloaded
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import JobError
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.frame_plan import Walk
from sphinx_framework.registry import Registry
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.testing.scenes import track_scene
from sphinx_framework.types import CoarseViews, Scene, StartSteps
from sphinx_framework_masks.policy import OpacityBlurMask
from tests.support.emulated_device import EmulatedRun, on_device

E2E = Path(__file__).parent.parent / "e2e"
WALK = ("num_steps=7", "plan.refresh_every=3", "plan.full_tail=1", "engine.retry=false")
PIPELINES = {
    "seva": (
        E2E / "seva_mvsplat_tiny.toml",
        (64, 64),
        # The mask takes one road, whatever cluster random weights put the scene in.
        (
            *WALK,
            "plan.max_start=6",
            "diffusion.channel_mult=[1,1]",
            "mask.opacity_only_clusters=[]",
        ),
    ),
    "viewcrafter": (E2E / "viewcrafter_dust3r_tiny.toml", (64, 96), WALK),
    "lite": (
        "lite",
        (64, 64),
        (
            *WALK,
            "size=[64,64]",
            "plan.max_steps=7",
            "evidence.min_opacity=0",
        ),
    ),
}
# What one move may do while the device computes. Nothing.
STEP_BUDGET = {"wait": 0, "host copy": 0, "host index": 0, "float64": 0}
# A whole first request of two photos and three targets; all of it outside of the moves.
REQUEST_BUDGET = {"wait": 120, "host copy": 150}
# Waits of mask and step policies and of the plan: views to the host, an embedding; not one more.
PLAN_BUDGET = {"seva": 6, "viewcrafter": 3, "lite": 4}


class Once:
    """A regression stage that answers a scene once; later requests get the same views."""

    def __init__(self, stage: Any) -> None:
        self.stage, self.coarse = stage, None

    def predict(self, scene: Scene) -> CoarseViews:
        self.coarse = self.coarse or self.stage.predict(scene)
        assert self.coarse is not None
        return self.coarse


class Dictated:
    """Asks the pipeline's own policies, then starts the targets at different steps."""

    def __init__(self, steps: Any, mask: Any, starts: tuple[int, ...]) -> None:
        self.steps, self.inner_mask, self.starts = steps, mask, starts
        self.walks: tuple[Walk, ...] | None = None

    def start_steps(self, *arguments: Any) -> StartSteps:
        return replace(
            self.steps.start_steps(*arguments), steps=self.starts, walks=self.walks, full_ratio=None
        )

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> Tensor:
        mask = torch.zeros_like(self.inner_mask.mask(coarse, scene, cluster))
        mask[:, :16, :16] = True
        return mask


class Road:
    """An engine on the emulated device, with the moves that its requests made."""

    def __init__(self, name: str, run: EmulatedRun) -> None:
        config, size, overrides = PIPELINES[name]
        self.name, self.run, self.kinds = name, run, set[str]()
        self.results: list[RenderResult] = []
        loaded = load_config(config, overrides)
        registry = Registry.from_entry_points()
        parts = build_components(loaded, registry, run.device, name)
        said = Dictated(parts.steps, parts.mask, (1, 3, 3))
        parts = replace(parts, regression=Once(parts.regression), mask=said, steps=said)
        self.said, self.engine = said, Engine(parts, loaded, run.device)
        self.scene = track_scene(3, 2, size, 0)

    def request(self, mode: str, name: str = "") -> RenderResult:
        mode, asked = name or mode, mode
        self.run.step = f"{mode} regression"
        for event in self.engine.stream(self.scene, mode=asked):  # type: ignore[arg-type]
            if isinstance(event, StageDone):
                self.run.step = f"{mode} after {event.stage}"
            elif isinstance(event, Planned):
                self.run.step = f"{mode} encode, and move 1"
            elif isinstance(event, StepDone):
                last = event.done == event.total
                self.run.step = f"{mode} {'decode' if last else f'move {event.done + 1}'}"
            elif isinstance(event, Finished):
                self.kinds |= {step.kind for step in event.result.report.trace}
                return event.result
        raise AssertionError("no result")

    def moves(self) -> list[str]:
        """Names of the moves after each request's first (which shares its name with encoding)."""
        return sorted(
            step
            for step in {at for at, _, _ in self.run.counts}
            if " move " in step and "encode" not in step
        )


@pytest.fixture(scope="module", params=PIPELINES)
def road(request: pytest.FixtureRequest) -> Iterator[Road]:
    with EmulatedRun() as run:
        made = Road(request.param, run)
        made.results = [made.request(mode) for mode in ("selective", "fine")]
        yield made


def test_every_stage_runs_on_one_device_and_makes_every_kind_of_move(road: Road) -> None:
    for result in road.results:
        assert result.images.device.type == "cpu"
        assert bool(torch.isfinite(result.images).all())
    assert road.kinds == {"full", "frames", "tiles"}


@pytest.mark.parametrize("kind", STEP_BUDGET)
def test_no_move_waits_copies_or_computes_in_double(road: Road, kind: str) -> None:
    inside = [place for step in road.moves() for place in road.run.places(kind, step)]
    assert len(inside) <= STEP_BUDGET[kind], "\n".join(inside)


@pytest.mark.parametrize("kind", REQUEST_BUDGET)
def test_the_first_request_stays_within_its_budget(road: Road, kind: str) -> None:
    stages = {step for step, _, _ in road.run.counts if step.startswith("selective")}
    total = sum(road.run.total(kind, step) for step in stages)
    places = [p for step in stages for p in road.run.places(kind, step)]
    assert total <= REQUEST_BUDGET[kind], "\n".join([str(total), *places])


def test_policies_wait_for_what_they_need_and_not_once_more(road: Road) -> None:
    inside = road.run.places("wait", "fine after quality")
    total = road.run.total("wait", "fine after quality")
    assert 0 < total <= PLAN_BUDGET[road.name], "\n".join([str(total), *inside])


GUIDED = pytest.mark.parametrize("road", ["seva", "viewcrafter"], indirect=True)


@GUIDED
def test_drift_waits_once_a_partial_move_and_guidance_and_the_solver_not_at_all(road: Road) -> None:
    plain = road.engine.config
    options = ["plan.refresh=drift", "plan.refresh_drift=100", "plan.guidance.reuse=3"]
    road.engine.config = overridden(plain, options)
    road.said.walks = (Walk(solver="unipc"),) * 3
    try:
        road.request("fine", "thinned")
    finally:
        road.engine.config, road.said.walks = plain, None
    moves = [step for step in road.moves() if step.startswith("thinned")]
    assert len(moves) >= 4
    for kind in STEP_BUDGET:
        inside = [place for step in moves for place in road.run.places(kind, step)]
        if kind == "wait":
            assert [road.run.total(kind, step) for step in moves] == [1] * len(moves)
            assert all("drift.py" in place for place in inside)
        else:
            assert not inside, "\n".join(inside)


# Where networks and caches lie: of the quickest pipeline alone.
LITE = pytest.mark.parametrize("road", ["lite"], indirect=True)


PLANTS = {
    "wait in the mask policy": (
        OpacityBlurMask, "mask",
        lambda plain, self, seen, *rest: (seen.images.mean().item(), plain(self, seen, *rest))[1],
    ),
    "host copy in an executor": (
        FrameSubsetExecutor, "_all_frames",
        lambda plain, self, *rest: tuple(t.cpu().to(t.device) for t in plain(self, *rest)),
    ),
    "double in a scheduler": (
        SigmaSampler, "noised",
        lambda plain, self, clean, *rest: plain(self, clean.double(), *rest).float(),
    ),
    "noise of the host": (
        SigmaSampler, "advance",
        lambda plain, self, x, *rest: plain(self, x + 0 * torch.randn(x.shape).to(x.device), *rest),
    ),
}  # fmt: skip


@LITE
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_mistake_exceeds_a_budget(road: Road, plant: str, monkeypatch) -> None:
    owner, method, made = PLANTS[plant]
    plain = getattr(owner, method)
    monkeypatch.setattr(owner, method, lambda self, *rest: made(plain, self, *rest))
    road.request("fine", plant)
    moves = [step for step in road.moves() if step.startswith(plant)]
    inside = sum(road.run.total(kind, step) for kind in STEP_BUDGET for step in moves)
    planning = road.run.total("wait", f"{plant} after quality")
    for key in [key for key in road.run.counts if key[0].startswith(plant)]:
        del road.run.counts[key]
    assert inside > 0 or planning > PLAN_BUDGET["lite"]


@LITE
def test_a_tensor_of_the_host_in_a_solver_is_refused(road: Road, monkeypatch) -> None:
    plain = SigmaSampler.advance
    monkeypatch.setattr(
        SigmaSampler, "advance", lambda self, *rest: plain(self, *rest) * torch.ones(1)
    )
    with pytest.raises(JobError, match="same device"):
        road.request("fine", "mixed")


def places(component: Any) -> set[bool]:
    """Whether the component's networks lie on the device."""
    networks = networks_of(component)
    return {on_device(p.device) for network in networks for p in network.parameters()}


@LITE
def test_an_idle_component_waits_on_the_host_and_the_bytes_are_the_same(road: Road) -> None:
    parts = offloaded(road.engine.components, road.run.device)
    idle = [parts.quality._inner, parts.diffusion._inner]
    assert [places(one) for one in idle] == [{False}, {False}]
    steps = 0
    for event in Engine(parts, road.engine.config, road.run.device).stream(
        road.scene, mode="selective"
    ):
        if isinstance(event, StepDone):
            steps += 1
            assert [places(one) for one in idle] == [{False}, {True}]
        elif isinstance(event, Finished):
            assert torch.equal(event.result.images, road.results[0].images)
    assert steps >= 3
    for network in (network for one in idle for network in networks_of(one)):
        network.to(road.run.device)  # to where the other tests expect it


@LITE
def test_a_cache_on_the_host_gives_the_same_bytes(road: Road) -> None:
    config = overridden(road.engine.config, ["engine.cache_on=host"])
    engine = Engine(road.engine.components, config, road.run.device)
    before = road.run.total("wait")
    *_, last = engine.stream(road.scene, mode="selective")
    assert torch.equal(last.result.images, road.results[0].images)
    assert road.run.total("wait") > before + 10  # copies to the host, which nothing else makes

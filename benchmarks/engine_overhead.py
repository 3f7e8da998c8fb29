"""Engine overhead: a request through the engine against the same torch calls by hand.

    python benchmarks/engine_overhead.py --config lite --seconds 60
    python benchmarks/engine_overhead.py --config benchmarks/seva_small.toml
        --targets interpolate:19 --set num_steps=4

Both sides make the same calls of models and policies in the same order (mode `diffusion`: dense
denoising). What is left is the engine: events, schedules, state, clocks, checks, report. The scene
is handed without its truth: what a report says of similarity to it neither side measures. Two
figures, in processor seconds of one thread:

* the share of a request that passes neither in the network, nor in the solver's arithmetic
  (``advance``, which the other side calls as often), nor in another stage: from three requests or
  more, within a third of the time. The levels of held frames, which a request by hand does not
  need, count as the engine's;
* the paired comparison, in the rest of the time (three pairs or more): the median ratio with its
  quartiles, and that of the least times. Runs alternate, and so does which side goes first. Its
  noise is larger than what it compares.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

import torch

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework.config import load_config
from sphinx_framework.engine import preparation, request_state, whole_request
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import device_name
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.geometry.brackets import brackets
from sphinx_framework.policy.quality import quality_report
from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Scene

FEWEST = 3


@torch.no_grad()
def by_hand(engine: Engine, scene: Scene) -> torch.Tensor:
    """The road of a dense request without the framework."""
    parts, steps = engine.components, engine.config.num_steps
    coarse = parts.regression.predict(scene)
    report = quality_report(
        parts.quality.score(coarse.images, coarse.opacity),
        parts.quality.score(scene.images),
        brackets(scene),
        engine.config.gamma,
    )
    chosen = parts.steps.start_steps(report, scene, engine.config.quality, steps)
    parts.mask.mask(coarse, scene, chosen.cluster)
    model = parts.diffusion
    layout = model.layouts(scene)[0]
    frames = layout.stacked(scene.images, coarse.images)
    clean = model.encode(frames)
    schedule = model.sampler(steps)
    condition = model.condition(scene, coarse, layout, clean, schedule)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    x = schedule.noised(torch.zeros_like(clean), noise, 0)
    previous: tuple[int, torch.Tensor] | None = None
    ops = DenseExecutor(len(x))
    for step in range(steps):
        denoised = model.denoise(x, step, condition, ops)
        move = SolverStep(step=step, next_step=step + 1, previous=previous, draw=torch.Tensor)
        x = schedule.advance(x, denoised, move)
        previous = (step, denoised)
    positions = list(layout.targets)
    images = model.decode(x[positions])
    parts.quality.score(images)
    return images


class Clocked:
    """A diffusion model whose network calls are timed; everything else is the model's own.

    seconds: of processor time, in the network and in the framework's solver.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.seconds = 0.0

    @contextmanager
    def timing_the_solver(self) -> Iterator[None]:
        """Count what :meth:`SigmaSampler.advance` takes, too."""
        plain = SigmaSampler.advance

        def timed(sampler: SigmaSampler, *arguments: Any) -> torch.Tensor:
            started = process_time()
            state = plain(sampler, *arguments)
            self.seconds += process_time() - started
            return state

        SigmaSampler.advance = timed  # type: ignore[method-assign]
        try:
            yield
        finally:
            SigmaSampler.advance = plain  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def denoise(self, *arguments: Any) -> torch.Tensor:
        started = process_time()
        denoised: torch.Tensor = self.model.denoise(*arguments)
        self.seconds += process_time() - started
        return denoised


def share_outside(engine: Engine, scene: Scene) -> float:
    """Share of a dense request that passes neither in another stage nor in the network."""
    model = Clocked(engine.components.diffusion)
    clocked = Engine(
        replace(engine.components, diffusion=model), engine.config, engine.device, engine.registry
    )
    with model.timing_the_solver():
        seconds = clocked.render(scene, mode="diffusion").report.seconds
    stages = (seconds.regression, seconds.quality, seconds.plan, seconds.encode, seconds.decode)
    return 1 - (sum(stages) + model.seconds) / seconds.total


def shares_outside(engine: Engine, scene: Scene, seconds: float) -> list[float]:
    """The share of several requests, at least three; the first warms up."""
    share_outside(engine, scene)
    shares: list[float] = []
    until = perf_counter() + seconds
    while len(shares) < FEWEST or perf_counter() < until:
        shares.append(share_outside(engine, scene))
    return shares


def compared(engine: Engine, scene: Scene, seconds: float) -> dict[str, list[float]]:
    """Processor seconds of both sides, run for run; at least three pairs."""
    times: dict[str, list[float]] = {"engine": [], "by hand": []}
    calls = {
        "engine": lambda: engine.render(scene, mode="diffusion"),
        "by hand": lambda: by_hand(engine, scene),
    }
    until = perf_counter() + seconds
    while len(times["engine"]) < FEWEST or perf_counter() < until:
        turn = list(calls) if len(times["engine"]) % 2 else list(reversed(calls))
        for name in turn:
            started = process_time()
            calls[name]()
            times[name].append(process_time() - started)
    return times


def main() -> None:
    """Count the share, compare both sides, print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scene", default="procedural:demo")
    parser.add_argument("--targets")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--shares-only", action="store_true", help="without the comparison")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command line does
    torch.set_num_threads(1)
    for module in (preparation, request_state, whole_request):
        vars(module)["perf_counter"] = process_time  # the report's seconds are of the processor
    config = load_config(arguments.config, arguments.overrides)
    engine = Engine.from_config(config, device="cpu")
    scene = load_scene(arguments.scene, size=config.size, fit=config.fit, targets=arguments.targets)
    scene = replace(scene, target_images=None)
    shares = shares_outside(engine, scene, arguments.seconds / 3)
    summary: dict[str, Any] = {
        "machine": device_name(engine.device),
        "config": config.name,
        "steps": config.num_steps,
        "share_outside_models": median(shares),
        "share_outside_models_least_and_most": [min(shares), max(shares)],
        "requests": len(shares),
    }
    if not arguments.shares_only:
        times = compared(engine, scene, 2 * arguments.seconds / 3)
        ratios = [a / b for a, b in zip(times["engine"], times["by hand"], strict=True)]
        summary |= {
            "engine_seconds": median(times["engine"]),
            "by_hand_seconds": median(times["by hand"]),
            "overhead": median(ratios) - 1,
            "overhead_quartiles": [quartile - 1 for quartile in quantiles(ratios, n=4)],
            "overhead_of_least_times": min(times["engine"]) / min(times["by hand"]) - 1,
            "pairs": len(ratios),
        }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()

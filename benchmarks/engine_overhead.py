"""Engine overhead: a request through the engine against the same torch calls by hand.

    python benchmarks/engine_overhead.py --config lite

Both sides make the same calls of models and policies in the same order (mode `diffusion`: dense
denoising). What is left is the engine: events, schedules, state, clocks, report. Runs alternate,
and so does which side goes first. Printed: the median of the paired ratios with its quartiles, and
the ratio of the least times. On a noisy machine these differ by more than the overhead; so the time
that the engine spends outside of the stages and of the network is counted too. It includes the
solver's arithmetic, which the other side also does: an upper bound.
"""

import argparse
import json
from dataclasses import replace
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import device_name
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.geometry.brackets import brackets
from sphinx_framework.policy.quality import quality_report
from sphinx_framework.protocols import SolverStep
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Scene


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
    """A diffusion model whose network calls are timed; everything else is the model's own."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def denoise(self, *arguments: Any) -> torch.Tensor:
        started = perf_counter()
        denoised: torch.Tensor = self.model.denoise(*arguments)
        self.seconds += perf_counter() - started
        return denoised


def share_outside(engine: Engine, scene: Scene) -> float:
    """Share of a dense request that passes neither in another stage nor in the network."""
    model = Clocked(engine.components.diffusion)
    clocked = Engine(
        replace(engine.components, diffusion=model), engine.config, engine.device, engine.registry
    )
    seconds = clocked.render(scene, mode="diffusion").report.seconds
    stages = (seconds.regression, seconds.quality, seconds.plan, seconds.encode, seconds.decode)
    return 1 - (sum(stages) + model.seconds) / seconds.total


def main() -> None:
    """Alternate both, print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scene", default="procedural:demo")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    engine = Engine.from_config(config, device="cpu")
    scene = load_scene(arguments.scene, size=config.size)
    times: dict[str, list[float]] = {"engine": [], "by hand": []}
    calls = {
        "engine": lambda: engine.render(scene, mode="diffusion"),
        "by hand": lambda: by_hand(engine, scene),
    }
    for run in range(arguments.runs + 1):
        turn = list(calls) if run % 2 else list(reversed(calls))
        for name in turn:
            started = perf_counter()
            calls[name]()
            if run:
                times[name].append(perf_counter() - started)
    outside = median(share_outside(engine, scene) for _ in range(5))
    ratios = [a / b for a, b in zip(times["engine"], times["by hand"], strict=True)]
    summary = {
        "machine": device_name(engine.device),
        "engine_seconds": median(times["engine"]),
        "by_hand_seconds": median(times["by hand"]),
        "overhead": median(ratios) - 1,
        "overhead_quartiles": [quartile - 1 for quartile in quantiles(ratios, n=4)],
        "overhead_of_least_times": min(times["engine"]) / min(times["by hand"]) - 1,
        "share_outside_models": outside,
    }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()

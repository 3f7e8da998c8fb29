"""Engine overhead: a request through the engine against the same torch calls by hand.

    python benchmarks/engine_overhead.py --config lite

Both sides make the same calls of models and policies in the same order (mode `diffusion`: dense
denoising). What is left is the engine: events, schedules, state, clocks, the report. Runs
alternate, and the median ratio is printed.
"""

import argparse
import json
from statistics import median
from time import perf_counter

import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import device_name
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.geometry import brackets
from sphinx_framework.loading import load_scene
from sphinx_framework.policy.quality import quality_report
from sphinx_framework.protocols import SolverStep
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
    schedule = model.noise_schedule(steps)
    condition = model.condition(scene, coarse, layout, clean, schedule)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    x = schedule.noised(torch.zeros_like(clean), noise, 0)
    ops = DenseExecutor(len(x))
    for step in range(steps):
        denoised = model.denoise(x, step, condition, ops)
        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=torch.Tensor)
        x = schedule.advance(x, denoised, move)
    positions = list(layout.targets)
    images = model.decode(x[positions])
    parts.quality.score(images)
    return images


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
        for name, call in calls.items():
            started = perf_counter()
            call()
            if run:
                times[name].append(perf_counter() - started)
    ratios = [a / b for a, b in zip(times["engine"], times["by hand"], strict=True)]
    summary = {
        "machine": device_name(engine.device),
        "engine_seconds": median(times["engine"]),
        "by_hand_seconds": median(times["by hand"]),
        "overhead": median(ratios) - 1,
    }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()

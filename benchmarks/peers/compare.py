"""Our modes beside others' caching on the embedded model: operations, processor time, quality.

    PYTHONPATH=benchmarks:benchmarks/peers python benchmarks/peers/compare.py [--json FILE]
        [--scenes procedural:report/0 ...]

All systems start from the same renders and noise. PSNR is against the ground truth and against
full diffusion of 50 steps. Operations are counted on the first scene, all calls of the network
together; processor seconds are of denoising alone, of one thread, the mean over the scenes.
"""

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from packed_flops import flop_counter
from shortcuts import FirstBlock, Interval, shortcut

from sphinx_framework.engine.engine import Engine
from sphinx_framework.metrics import psnr
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.report.summary import markdown

GIGA = 1e9


@dataclass(frozen=True, slots=True)
class System:
    """A name, how the engine is asked, and another's shortcut."""

    name: str
    mode: Mode
    overrides: tuple[str, ...] = ()
    how: Interval | FirstBlock | None = None


SYSTEMS = (
    System("full diffusion, 50 steps", "diffusion"),
    *(System(f"deep features every {n}", "diffusion", (), Interval(n)) for n in (2, 5)),
    *(System(f"first block, {t:g}", "diffusion", (), FirstBlock(t)) for t in (0.1, 0.2)),
    System("full diffusion, 5 steps", "diffusion", ("num_steps=5",)),
    System("fine, as shipped", "fine"),
    System("selective, as shipped", "selective"),
    System("regression alone", "regression"),
)


class Clock:
    """Processor seconds and operations of a model's ``denoise``."""

    def __init__(self, model: Any) -> None:
        self.plain, self.seconds = model.denoise, 0.0
        self.counting, self.flops = False, 0
        model.denoise = self

    def __call__(self, *arguments: Any) -> Any:
        began = time.process_time()
        counter = flop_counter()
        with counter if self.counting else nullcontext():
            out = self.plain(*arguments)
        self.seconds += time.process_time() - began
        self.flops += counter.get_total_flops()
        return out


def measured(system: System, engine: Engine, clock: Clock, scenes: Sequence[Any]) -> dict[str, Any]:
    """One system on all scenes: images and figures."""
    network = engine.components.diffusion._denoiser.network
    images, seconds = [], []
    with shortcut(network, system.how) if system.how else nullcontext() as kept:
        for scene in scenes:
            clock.seconds = 0.0
            images.append(engine.render(scene, mode=system.mode).images)
            seconds.append(clock.seconds)
        full = None if kept is None else kept.full / (kept.full + kept.short)
        clock.counting = True
        engine.render(scenes[0], mode=system.mode)
    told = {"seconds": fmean(seconds), "flops": clock.flops, "full_share": full}
    return told | {"images": images}


def compared(scenes: Sequence[Any], systems: Sequence[System] = SYSTEMS) -> list[dict[str, Any]]:
    """Rows of all systems; the first is what the others are compared with."""
    torch.set_num_threads(1)
    rows, dense = [], None
    for system in systems:
        engine = Engine.from_config("lite", device="cpu", overrides=system.overrides)
        told = measured(system, engine, Clock(engine.components.diffusion), scenes)
        images = told.pop("images")
        dense = dense or images
        truths = [scene.target_images for scene in scenes]
        rows.append(
            told
            | {
                "system": system.name,
                "psnr": fmean(
                    float(psnr(i, t).mean()) for i, t in zip(images, truths, strict=True)
                ),
                "to_dense": fmean(
                    float(psnr(i, d).mean()) for i, d in zip(images, dense, strict=True)
                ),
            }
        )
        print(rows[-1], flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """As the page has it."""
    heads = ["system", "GFLOP", "of full", "seconds", "of full", "whole passes"]
    first = rows[0]
    lines = [
        [
            row["system"], f"{row['flops'] / GIGA:.1f}", f"{row['flops'] / first['flops']:.3f}",
            f"{row['seconds']:.2f}", f"{row['seconds'] / first['seconds']:.3f}",
            "" if row["full_share"] is None else f"{row['full_share']:.0%}",
            f"{row['psnr']:.2f}", "" if row is first else f"{row['to_dense']:.2f}",
        ]
        for row in rows
    ]  # fmt: skip
    return markdown([[*heads, "PSNR to truth", "PSNR to full"], *lines])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", nargs="+", default=[f"procedural:report/{i}" for i in range(2)])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    scenes = [load_scene(one, size=(96, 96)) for one in asked.scenes]
    rows = compared(scenes)
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(rows, indent=1))
    print(table(rows))


if __name__ == "__main__":
    main()

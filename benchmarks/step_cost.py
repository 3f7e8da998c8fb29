"""What full, frame-subset and block-sparse steps cost: time, counted FLOPs, cache bytes.

    python benchmarks/step_cost.py --config lite --seconds 30 --json out/step_cost.json

The first table has every step: its time over that of a full step that records and of one that
does not (dense), its FLOPs (torch's counter, 2 per multiply-add) over a full step's, and the bound
of its time over the **dense** one: 1.1 n/T for three frames and more, area / 0.75 for tiles from
10 % of the clip up. The second compares tiles of all targets with the frames of all targets, which
is what a plan chooses between; the break-even below it is the one that planning uses. Times are
medians; the steps take turns. ``--processor``: processor seconds of one thread, for a machine that
is shared.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from packed_flops import flop_counter

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import device_name
from sphinx_framework.policy.cost import StepSample, fit_cost
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.report.summary import markdown
from sphinx_framework.study.step_costs import Subject, configurations, prepare, timed

SLOPE, LEAST_FRAMES = 1.1, 3
WORTH, LEAST_AREA = 0.75, 0.1


def main() -> None:
    """Measure, print the tables, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scene", default="procedural:demo")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--targets")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--processor", action="store_true", help="processor time of one thread")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command line does
    clock = time.perf_counter
    if arguments.processor:
        torch.set_num_threads(1)
        clock = time.process_time
    config = load_config(arguments.config, arguments.overrides)
    engine = Engine.from_config(config, device=arguments.device)
    scene = load_scene(arguments.scene, size=config.size, fit=config.fit, targets=arguments.targets)
    subject = prepare(engine, scene)
    able = engine.components.capabilities
    rows = measured(subject, engine.device, arguments.seconds, clock, tiles=able.block_sparse)
    samples = [StepSample(kind=r["kind"], share=r["share"], seconds=r["seconds"]) for r in rows]
    cost = fit_cost(samples, subject.num_frames, "this run")
    cached = subject.cache.bytes_peak

    print(f"{device_name(engine.device)}, {config.name}, {subject.num_frames} frames of latents")
    print(f"{tuple(subject.x.shape[1:])}, {len(subject.targets)} of them targets")
    print(f"\n{markdown(step_table(rows, subject.num_frames))}")
    if able.block_sparse:
        print(markdown(tile_table(rows)))
        print(f"tiles pay below {cost.break_even(len(subject.targets) / subject.num_frames):.0%}")
    print(f"latent cache: {cached} bytes after a full pass")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "machine": device_name(engine.device),
            "frames": subject.num_frames,
            "targets": len(subject.targets),
            "rows": rows,
            "cache_bytes": cached,
            "cost": cost.model_dump(),
        }
        arguments.json.write_text(json.dumps(told))


def measured(
    subject: Subject,
    device: torch.device,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    *,
    tiles: bool,
) -> list[dict[str, Any]]:
    """One row per step; the recorded full step comes first."""
    listed = list(configurations(subject, tiles=tiles))
    times = timed([call for _, _, call in listed], device, seconds, clock)
    rows = []
    for (kind, share, call), took in zip(listed, times, strict=True):
        with flop_counter() as counter, torch.no_grad():
            call()
        flops = counter.get_total_flops()
        rows.append({"kind": kind, "share": share, "seconds": took, "flops": flops})
    dense = next(row["seconds"] for row in rows if row["kind"] == "dense")
    for row in rows:
        row["of_full"] = row["seconds"] / rows[0]["seconds"]
        row["of_dense"] = row["seconds"] / dense
        row["flops_of_full"] = row["flops"] / rows[0]["flops"]
    return rows


def step_table(rows: list[dict[str, Any]], total: int) -> list[list[str]]:
    """Every step against both full ones."""
    lines = [["step", "ms", "of recording", "of dense", "bound", "of its FLOPs"]]
    for row in rows:
        name, bound = f"full, {'recording' if row['kind'] == 'full' else 'dense'}", None
        if row["kind"] == "frames":
            count = round(row["share"] * total)
            name = f"{count} of {total} frames"
            bound = SLOPE * row["share"] if count >= LEAST_FRAMES else None
        elif row["kind"] == "tiles":
            name = f"tiles, {row['share']:.1%} of the clip"
            bound = row["share"] / WORTH if row["share"] >= LEAST_AREA else None
        told = "" if bound is None else f"{bound:.3f}"
        if bound is not None and row["of_dense"] > bound:
            told += " missed"
        figures = (f"{1e3 * row['seconds']:.1f}", f"{row['of_full']:.3f}", f"{row['of_dense']:.3f}")
        lines.append([name, *figures, told, f"{row['flops_of_full']:.3f}"])
    return lines


def tile_table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Tiles of all targets against the frames of all targets."""
    frames = max((r for r in rows if r["kind"] == "frames"), key=lambda row: row["share"])
    lines = [["tiles of the targets", "time over their frames'", "FLOPs over their frames'"]]
    for row in rows:
        if row["kind"] == "tiles":
            share, seconds, flops = (row[k] / frames[k] for k in ("share", "seconds", "flops"))
            lines.append([f"{share:.0%}", f"{seconds:.3f}", f"{flops:.3f}"])
    return lines


if __name__ == "__main__":
    main()

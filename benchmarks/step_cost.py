"""What full, frame-subset and block-sparse steps cost: time, counted FLOPs, cache bytes.

    python benchmarks/step_cost.py --config lite --seconds 30 --json out/step_cost.json

FLOPs are torch's counter (2 per multiply-add). The break-even is what planning uses.
"""

import argparse
import json
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.measure import configurations, prepare, timed
from sphinx_framework.engine.report import device_name
from sphinx_framework.loading import load_scene
from sphinx_framework.policy.cost import StepSample, fit_cost


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scene", default="procedural:demo")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--targets")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    engine = Engine.from_config(config, device=arguments.device)
    scene = load_scene(arguments.scene, size=config.size, targets=arguments.targets)
    subject = prepare(engine, scene)
    listed = list(configurations(subject, tiles=engine.components.capabilities.block_sparse))
    rows, samples = [], []
    for kind, share, call in listed:
        seconds = timed(call, engine.device, arguments.seconds / len(listed))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            call()
        samples.append(StepSample(kind=kind, share=share, seconds=seconds))
        rows.append(
            {"kind": kind, "share": share, "seconds": seconds, "flops": counter.get_total_flops()}
        )
    full = rows[0]
    print(f"{device_name(engine.device)}, {subject.num_frames} frames, {config.name}")
    print(f"{'step':>7} {'share':>7} {'ms':>9} {'of full':>8} {'GFLOP':>8} {'of full':>8}")
    for row in rows:
        print(
            f"{row['kind']:>7} {row['share']:7.3f} {1e3 * row['seconds']:9.2f} "
            f"{row['seconds'] / full['seconds']:8.3f} {row['flops'] / 1e9:8.2f} "
            f"{row['flops'] / full['flops']:8.3f}"
        )
    cost = fit_cost(samples, subject.num_frames, "this run")
    print(f"cache bytes after a full pass: {subject.cache.num_bytes}")
    print(f"tiles pay below {cost.break_even():.0%} of a clip")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(
            json.dumps(
                {
                    "machine": device_name(engine.device),
                    "frames": subject.num_frames,
                    "rows": rows,
                    "cache_bytes": subject.cache.num_bytes,
                    "cost": cost.model_dump(),
                }
            )
        )


if __name__ == "__main__":
    main()

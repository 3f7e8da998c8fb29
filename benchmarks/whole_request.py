"""Whole requests with random weights: dense, coarse, fine, selective; time and peak memory.

    python benchmarks/whole_request.py --config seva-mvsplat --device cuda \
        --set diffusion.weights=random --set diffusion.vae=random --set diffusion.clip=random \
        --set regression.weights=random --set quality.weights=random --set steps.cluster=0 \
        --set diffusion.dtype=bfloat16 --set diffusion.channels_last=true --compile \
        --scene FOLDER --targets interpolate:19 --json out/whole_request.json

With ``--compile`` the first request of each mode compiles, for minutes, and is left out as every
mode's first request is. Peak memory is the device's, per mode; on a CPU the process's, over all.

Start steps come from the pipeline's own rule tables, at quality ratios drawn uniformly from
[0.6, 1.1]: with random weights the real ratios mean nothing, and the plan decides the time.
"""

import argparse
import json
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from timed_requests import DrawnRatios, measured

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import device_name
from sphinx_framework.scenes.load import load_scene

MODES = ("diffusion", "coarse", "fine", "selective")


def main(argv: Sequence[str] | None = None) -> None:
    """Warm up each mode once, then measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="seva-mvsplat")
    parser.add_argument("--scene", required=True)
    parser.add_argument("--targets")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--compile", action="store_true", help="compile the diffusion network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config, arguments.overrides)
    base = Engine.from_config(config, device=arguments.device)
    if arguments.compile:
        network = base.components.diffusion.network  # type: ignore[attr-defined]
        network.forward = torch.compile(network.forward)
    steps = DrawnRatios(base.components.steps, arguments.seed)
    engine = Engine(replace(base.components, steps=steps), config, base.device)
    scene = load_scene(arguments.scene, size=config.size, targets=arguments.targets)
    rows = []
    for mode in arguments.modes:
        measured(engine, scene, mode, arguments.seed)
        rows.append(measured(engine, scene, mode, arguments.seed))
    first = rows[0]["seconds"]["denoise"]
    print(f"{device_name(engine.device)}, {config.name}, {len(scene.targets)} targets")
    print(
        f"{'mode':>10} {'total s':>8} {'denoise s':>9} {'x first':>8} {'frame steps':>11} "
        f"{'peak GB':>8}"
    )
    for row in rows:
        seconds, peak = row["seconds"], row["device_bytes_peak"]
        print(
            f"{row['mode']:>10} {seconds['total']:8.3f} {seconds['denoise']:9.3f} "
            f"{first / seconds['denoise']:8.2f} {row['counts']['frame_steps']:11d} "
            + (f"{'-':>8}" if peak is None else f"{peak / 1e9:8.2f}")
        )
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "machine": device_name(engine.device),
            "torch": torch.__version__,
            "config": config.name,
            "set": arguments.overrides,
            "compile": arguments.compile,
            "inputs": len(scene.inputs),
            "targets": len(scene.targets),
            "size": scene.targets.image_size,
            "host_bytes_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()

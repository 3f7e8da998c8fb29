"""Predicted against actual seconds of whole requests over sizes, numbers of frames, and plans.

    python benchmarks/cost_over_sizes.py --json times.json

The cost table is the pipeline's own (or ``--cost``, as ``sphinx-nvs measure --sizes`` writes it).
Each request is run by an engine of its own, so that no pace of earlier requests corrects the
prediction; the actual time is the least of ``--runs``, to which other load on the machine adds
least. Printed: a line per request, and how many predictions are within ``--within`` times that.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from sphinx_framework.config import load_config, load_cost
from sphinx_framework.engine.engine import Engine
from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.calibrate.samples import FixedPlan
from sphinx_framework.study.machine import machine_name
from sphinx_framework.study.step_costs import fewer_targets


def main() -> None:
    """Predict, render, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="lite")
    parser.add_argument("--cost", help="cost table instead of the pipeline's own")
    parser.add_argument("--scene", default="procedural:demo")
    parser.add_argument("--sides", type=int, nargs="+", default=[96, 128, 160, 192, 256])
    parser.add_argument("--targets", type=int, nargs="+", default=[2, 6])
    parser.add_argument("--plans", nargs="+", default=["40x1", "0x3", "40x8"])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--within", type=float, default=1.5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    open_all = ["evidence.min_opacity=0", "engine.energy=none"]
    rows = []
    for side in arguments.sides:
        config = load_config(arguments.config, [*open_all, f"size=[{side},{side}]"])
        if arguments.cost:
            config = config.model_copy(update={"cost": load_cost(arguments.cost)})
        built = Engine.from_config(config, device="cpu")
        whole = load_scene(arguments.scene, size=config.size)
        for count in sorted({min(count, len(whole.targets)) for count in arguments.targets}):
            scene = fewer_targets(whole, count)
            for plan in arguments.plans:
                fixed = replace(built.components, steps=FixedPlan(FramePlan.parse(plan)))
                seconds, told = [], None
                for _ in range(arguments.runs):
                    report = Engine(fixed, config).render(scene, mode="fine").report
                    seconds.append(report.seconds.total)
                    told = report.predicted_seconds
                row = {
                    "side": side,
                    "frames": count + len(scene.inputs),
                    "targets": count,
                    "plan": plan,
                    "seconds": min(seconds),
                    "predicted": told,
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    known = [r["predicted"] / r["seconds"] for r in rows if r["predicted"] is not None]
    good = sum(1 / arguments.within <= ratio <= arguments.within for ratio in known)
    print(
        f"{good} of {len(rows)} predictions within a factor of {arguments.within:g}; "
        f"predicted over actual {min(known, default=0):.2f} to {max(known, default=0):.2f}"
    )
    if arguments.json:
        machine = machine_name(torch.device("cpu"))
        arguments.json.write_text(json.dumps({"machine": machine, "requests": rows}, indent=1))


if __name__ == "__main__":
    main()

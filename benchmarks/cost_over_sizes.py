"""How predicted seconds grow against actual ones over sizes, numbers of frames, and plans.

    python benchmarks/cost_over_sizes.py --json tests/policy/lite_request_times.json

The cost table is the pipeline's own (or ``--cost``, as ``sphinx-nvs measure --sizes`` writes it).
Actual are CPU seconds of one thread, the least of ``--runs``, so that other load on the machine
counts little; a table of another machine is off by one factor, which a server learns from its
requests (the pace). So predictions are divided by their mean factor first. Printed: a line per
request, the factor, and how many predictions are then within ``--within`` times the actual.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

import torch

from sphinx_framework.config import load_config, load_cost
from sphinx_framework.engine.engine import Engine
from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.calibrate.sampling import FixedPlan
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
    parser.add_argument("--sides", type=int, nargs="+", default=[96, 144, 192, 256])
    parser.add_argument("--targets", type=int, nargs="+", default=[2, 6])
    parser.add_argument("--plans", nargs="+", default=["40x1", "0x4"])
    parser.add_argument("--runs", type=int, default=1)
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
                    began = time.process_time()
                    report = Engine(fixed, config).render(scene, mode="fine").report
                    seconds.append(time.process_time() - began)
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
    factor = geometric_mean(known)
    good = sum(1 / arguments.within <= ratio / factor <= arguments.within for ratio in known)
    print(
        f"machine factor {factor:.2f}; {good} of {len(rows)} predictions within "
        f"{arguments.within:g} times; {min(known) / factor:.2f} to {max(known) / factor:.2f}"
    )
    if arguments.json:
        machine = machine_name(torch.device("cpu"))
        # What was predicted depends on the table; the test predicts anew.
        kept = [{k: v for k, v in row.items() if k != "predicted"} for row in rows]
        arguments.json.write_text(json.dumps({"machine": machine, "requests": kept}, indent=1))


if __name__ == "__main__":
    main()

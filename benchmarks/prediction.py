"""Predicted against actual seconds, of requests and of their denoising, after a self-measurement.

    python benchmarks/prediction.py --config lite --scenes procedural:report/0-9 --seconds 60

The steps are measured once on the first scene (or `--cost` takes a table of `sphinx-nvs measure`);
then one engine renders every scene in every mode and quality, as a server would. The prediction is
made before diffusion starts, at the pace of the engine's earlier requests. Printed: the share of
requests whose prediction is within 15 % of the actual time, the errors' quantiles, and the share by
mode.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from sphinx_framework.cli.scenes import scene_sources
from sphinx_framework.config import load_config, load_cost
from sphinx_framework.engine.engine import Engine
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry
from sphinx_framework.study.machine import machine_name
from sphinx_framework.study.report.claims import PREDICTION_ERROR, within
from sphinx_framework.study.step_costs import measure_costs

MODES: tuple[Mode, ...] = ("coarse", "fine", "selective", "diffusion")


def show(what: str, told: list[tuple[Mode, tuple[float, float]]]) -> None:
    """Print how near the predictions of ``what`` were: (mode, (predicted, actual)) per request."""
    if not told:
        print(f"{what}: not predicted, the cost table leaves out a stage")
        return
    pairs = [pair for _, pair in told]
    errors = np.array([predicted / actual - 1 for predicted, actual in pairs])
    low, middle, high = (f"{q:+.1%}" for q in np.quantile(errors, [0.05, 0.5, 0.95]))
    print(f"{what}: within {PREDICTION_ERROR:.0%}: {within(pairs):.0%} of {len(pairs)} requests")
    print(f"  error: median {middle}, 5th percentile {low}, 95th {high}")
    for mode in MODES:
        own = [pair for name, pair in told if name == mode]
        if own:
            print(f"  {mode}: {within(own):.0%} of {len(own)}")


def main() -> None:
    """Measure, predict, render, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scenes", nargs="+", default=["procedural:report/0-4"])
    parser.add_argument("--index")
    parser.add_argument("--qualities", type=float, nargs="+", default=[0.95])
    parser.add_argument("--seconds", type=float, default=60.0, help="of self-measurement")
    parser.add_argument("--cost", help="use this cost table instead of measuring")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    registry = Registry.from_entry_points()
    config = load_config(arguments.config, arguments.overrides)
    scenes = scene_sources(arguments.scenes, arguments.index, config, registry)
    plain = Engine.from_config(config, device=arguments.device, registry=registry)
    if arguments.cost is None:
        cost, _ = measure_costs(plain, scenes[0][1](), arguments.seconds)
    else:
        cost = load_cost(arguments.cost)
    engine = Engine(plain.components, config.model_copy(update={"cost": cost}), plain.device)

    requests: list[dict[str, Any]] = []
    for name, load in scenes:
        scene = load()
        for quality in arguments.qualities:
            for mode in MODES:
                report = engine.render(scene, mode=mode, quality=quality).report
                if report.seconds.denoise > 0:
                    requests.append(
                        {
                            "scene": name,
                            "mode": mode,
                            "quality": quality,
                            "request": (report.predicted_seconds, report.seconds.total),
                            "denoising": (
                                report.predicted_denoise_seconds,
                                report.seconds.denoise,
                            ),
                        }
                    )
    print(f"{machine_name(engine.device)}, cost model: {cost.measured}")
    if not requests:
        print("no request denoised anything: nothing to compare")
        return
    for what in ("request", "denoising"):
        told = [(row["mode"], row[what]) for row in requests if row[what][0] is not None]
        show(what, told)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"cost": cost.model_dump(), "requests": requests}))


if __name__ == "__main__":
    main()

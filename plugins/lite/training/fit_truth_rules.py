"""Fit lite's start rules to ground truth: the cheapest plan that keeps the similarity.

    python training/fit_truth_rules.py --scenes 0-59 --out rules.toml

Every target of the calibration scenes is rendered by the regression stage alone and by one solver
step from each candidate start. Similarity is (SSIM + GMS) / 2 against the truth. The best start is
the one with the highest mean. A bin of quality ratios is served as rendered at quality q when, in
at least ``--share`` of its targets, the render keeps q of the best plan's similarity; better bins
then are too. Only targets that the evidence guard lets pass are counted.
"""

import argparse
import shlex
import sys
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import tomli_w
import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.metrics import gradient_similarity, ssim
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.calibrate.samples import FixedStart

QUALITIES = (0.9, 0.95, 0.98, 0.99, 1.0)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scenes", default="0-59")
    parser.add_argument("--starts", default="25,30,35,40")
    parser.add_argument("--bins", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(options.config, [])
    engine = Engine.from_config(config, device="cpu")
    starts = [int(start) for start in options.starts.split(",")]
    first, last = (int(number) for number in options.scenes.split("-"))
    rows: list[list[float]] = []  # ratio, similarity as rendered, similarity of every start
    for number in range(first, last + 1):
        scene = load_scene(f"procedural:calibration/{number}", size=config.size)
        truth = scene.target_images
        assert truth is not None
        found: list[list[float]] = []
        for start in (config.num_steps, *starts):
            engine.components = replace(engine.components, steps=FixedStart(start))
            result = engine.render(scene, mode="fine", quality=1.0)
            frames = result.report.frames
            if start == config.num_steps:
                found.append([frame.ratio for frame in frames])
            similar = (ssim(result.images, truth) + gradient_similarity(result.images, truth)) / 2
            found.append(similar.tolist())
        proven = [frame.served == "refined" for frame in frames]
        rows += [
            list(row) for row, kept in zip(zip(*found, strict=True), proven, strict=True) if kept
        ]
        print(f"scene {number}: {len(rows)} targets", flush=True)
    table = torch.tensor(rows)
    means = table[:, 2:].mean(0)
    best = int(means.argmax())
    print("mean similarity", "as rendered", round(float(table[:, 1].mean()), 4),
          {s: round(float(m), 4) for s, m in zip(starts, means, strict=True)})  # fmt: skip
    edges = table[:, 0].quantile(torch.linspace(0, 1, options.bins + 1)[1:-1]).tolist()
    document = rules(options, config.gamma, table, starts[best], best, edges)
    options.out.write_text(tomli_w.dumps(document))


def rules(
    options: argparse.Namespace, gamma: float, table: torch.Tensor, start: int, best: int,
    edges: list[float],
) -> dict[str, object]:  # fmt: skip
    """The rule file as a document."""
    bounds = [0.0, *(round(edge, 4) for edge in edges), 1e9]
    bins = torch.bucketize(table[:, 0].contiguous(), torch.tensor(edges))
    kept = table[:, 1] / table[:, 2 + best]
    tables = []
    for quality in QUALITIES:
        served_from = len(bounds) - 1
        for index in reversed(range(len(bounds) - 1)):
            inside = kept[bins == index]
            if quality == 1 or float((inside >= quality).float().mean()) < options.share:
                break
            served_from = index
        rows = [
            [low, high, start if index < served_from else 50]
            for index, (low, high) in enumerate(pairwise(bounds))
        ]
        tables.append(
            {
                "quality": quality,
                "rows": rows,
                "samples": [int((bins == i).sum()) for i in range(len(rows))],
            }
        )
    return {
        "schema": "sphinx-framework/rules/1",
        "name": "lite",
        "num_steps": 50,
        "gamma": gamma,
        "objective": "truth",
        "provenance": {
            "regression": "lite",
            "diffusion": "lite",
            "dataset": f"procedural:calibration/{options.scenes}, {len(table)} targets",
            "date": date.today().isoformat(),
            "scorer": "lite",
            "source": shlex.join(["python", *(Path(word).name for word in sys.argv)]),
            "notes": "similarity (SSIM + GMS) / 2 to ground truth; one Euler step from start "
            f"{start}; as rendered {float(table[:, 1].mean()):.4f}, best plan "
            f"{float(table[:, 2 + best].mean()):.4f} in the mean; a bin is served as "
            f"rendered where {options.share:.0%} of its targets keep the quality",
        },
        "table": tables,
    }


if __name__ == "__main__":
    main()

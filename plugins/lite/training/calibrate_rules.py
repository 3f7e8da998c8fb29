"""Measure how late a walk may start, and write the rule tables of the klogic plugin.

    python training/calibrate_rules.py --data D --scenes 40 --first 0 --samples S.jsonl
    python training/calibrate_rules.py --fit S.jsonl --out src/sphinx_framework_lite/rules.toml

Calibration scenes only. For every scene the dense 50-step walk from pure noise is the reference;
walks that start from the regression latents at k = 0, 5, ..., 45 and the regression render itself
(k = 50) are scored against it, target by target.
"""

import argparse
import json
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from common import Scenes
from prepare_latents import stored_scene
from walks import Clip

from sphinx_framework.policy.quality import Bracket, quality_report
from sphinx_framework_lite.config import (
    DiffusionConfig,
    EmbedderConfig,
    QualityConfig,
    RegressionConfig,
)
from sphinx_framework_lite.embedder import LiteEmbedder
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.quality import LiteQuality
from sphinx_framework_lite.regression import LiteRegression

STEPS, GAMMA = 50, 0.5
STARTS = (5, 10, 15, 20, 25, 30, 35, 40, 45)
QUALITIES = (0.98, 0.95, 0.90)
CLUSTERS = 2
BINS = 6
UNBOUNDED = 99.0
PRIOR = 15
CONFIDENCE = 0.9


def measure(options: argparse.Namespace) -> None:
    """One JSON line per target: its ratio and the score of every start over the reference's."""
    torch.set_num_threads(1)
    device = torch.device("cpu")
    regression = LiteRegression(RegressionConfig(), device)
    model = LiteDiffusion(DiffusionConfig(precision="bfloat16"), device)
    scorer = LiteQuality(QualityConfig(), device)
    embedder = LiteEmbedder(EmbedderConfig(), device)
    grid = model.noise_schedule(STEPS)
    scenes = Scenes(options.data / "calibration")
    for index in range(options.first, options.first + options.scenes):
        scene = stored_scene(scenes, index)
        coarse = regression.predict(scene)
        clip = Clip(model, scene, coarse, seed=index)
        count = len(scene.targets)
        brackets = [Bracket(left=0, right=1, position=(i + 1) / (count + 1)) for i in range(count)]
        report = quality_report(
            scorer.score(coarse.images, coarse.opacity),
            scorer.score(scene.images),
            brackets,
            GAMMA,
        )
        reference = scorer.score(clip.walk(grid, list(range(STEPS)), from_noise=True))
        scores = {k: scorer.score(clip.walk(grid, list(range(k, STEPS)))) for k in STARTS}
        scores[STEPS] = scorer.score(coarse.images)
        with options.samples.open("a") as file:
            for target in range(count):
                line = {
                    "scene": index,
                    "target": target,
                    "ratio": float(report.ratio[target]),
                    "embedding": [round(float(x), 5) for x in embedder.embed(scene.images)],
                    "reference": float(reference[target]),
                    "share": {
                        str(k): round(float(s[target] / reference[target]), 5)
                        for k, s in scores.items()
                    },
                }
                file.write(json.dumps(line) + "\n")
        print(index, flush=True)


def clusters(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K-means on the sphere; several fixed starts, the tightest wins."""
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centres = embeddings[rng.choice(len(embeddings), CLUSTERS, replace=False)]
        labels = np.zeros(len(embeddings), np.int64)
        for _ in range(50):
            labels = (embeddings @ centres.T).argmax(axis=1)
            sums = [embeddings[labels == c].sum(axis=0) for c in range(CLUSTERS)]
            centres = np.stack([s / max(np.linalg.norm(s), 1e-9) for s in sums])
        fit = float((embeddings @ centres.T).max(axis=1).mean())
        if min(np.bincount(labels, minlength=CLUSTERS)) > 1 and (best is None or fit > best[0]):
            best = (fit, centres, labels)
    assert best is not None
    return best[1], best[2]


def lower_bound(values: np.ndarray) -> float:
    """One-sided bound of the mean at CONFIDENCE, normal approximation."""
    if len(values) < 2:
        return float(values.min())
    return float(values.mean() - 1.2816 * values.std(ddof=1) / np.sqrt(len(values)))


def table(
    rows: list[dict], edges: list[float], quality: float, ceiling: list[int]
) -> list[tuple[int, int, float]]:
    """Per bin: the largest start whose mean share reaches the quality, its count and bound.

    A bin's mean is drawn to its cluster's by ``PRIOR`` samples' weight: bins are small, and single
    scenes must not open a late start.
    """
    found = []
    floor = 0
    for (low, high), latest in zip(pairwise(edges), ceiling, strict=True):
        inside = [r for r in rows if low <= r["ratio"] < high]
        start = 0
        for k in (*STARTS, STEPS):
            shares = np.array([r["share"][str(k)] for r in inside])
            pooled = float(np.mean([r["share"][str(k)] for r in rows]))
            if (shares.sum() + PRIOR * pooled) / (len(shares) + PRIOR) >= quality:
                start = k
        # Starts rise with the ratio, and a higher quality never starts later.
        start = floor = min(max(start, floor), latest)
        bound = 1.0
        if start and inside:
            bound = lower_bound(np.array([r["share"][str(start)] for r in inside]))
        found.append((start, len(inside), bound))
    return found


def fit(options: argparse.Namespace) -> None:
    """Write the rule file."""
    rows = [json.loads(line) for line in options.fit.read_text().splitlines()]
    numbers = sorted({r["scene"] for r in rows})
    embeddings = np.array([next(r["embedding"] for r in rows if r["scene"] == n) for n in numbers])
    centres, labels = clusters(embeddings)
    cluster = dict(zip(numbers, labels.tolist(), strict=True))
    out = [
        "# Start steps of the lite models, measured by training/calibrate_rules.py.",
        'schema = "sphinx-framework/rules/1"',
        'name = "lite"',
        f"num_steps = {STEPS}",
        f"gamma = {GAMMA}",
        "",
        "[provenance]",
        'regression = "lite (stride 2)"',
        f'diffusion = "lite, {STEPS} Euler steps, 96x96, 2 inputs and 6 targets"',
        f'dataset = "{len(numbers)} generated calibration scenes"',
        f'date = "{date.today().isoformat()}"',
        'scorer = "lite"',
        'source = "training/calibrate_rules.py"',
        f"confidence = {CONFIDENCE}",
        "min_samples = 10",
        f'notes = "Bin means are drawn to the cluster mean with the weight of {PRIOR} samples."',
        "",
        "[clusters]",
        'embedder = "lite"',
        "centres = [",
        *[f"    [{', '.join(f'{x:.5f}' for x in centre)}]," for centre in centres],
        "]",
    ]
    for c in range(CLUSTERS):
        mine = [r for r in rows if cluster[r["scene"]] == c]
        ratios = np.array([r["ratio"] for r in mine])
        inner = np.quantile(ratios, np.linspace(0, 1, BINS + 1))[1:-1]
        low, high = round(float(ratios.min()) - 0.005, 3), round(float(ratios.max()) + 0.005, 3)
        edges = sorted({low, *[round(float(e), 3) for e in inner], high})
        starts = [STEPS] * (len(edges) - 1)
        for quality in sorted(QUALITIES):
            found = table(mine, edges, quality, starts)
            starts = [f[0] for f in found]
            # Nothing was measured above the last bin: its start holds for any larger ratio.
            tops = [*edges[1:-1], UNBOUNDED]
            triples = [
                f"[{a:.3f}, {b:.3f}, {s}]" for a, b, s in zip(edges[:-1], tops, starts, strict=True)
            ]
            out += [
                "",
                "[[table]]",
                f"quality = {quality:.2f}",
                f"cluster = {c}",
                f"rows = [{', '.join(triples)}]",
                f"samples = [{', '.join(str(f[1]) for f in found)}]",
                f"lower_bound = [{', '.join(f'{f[2]:.3f}' for f in found)}]",
            ]
    options.out.write_text("\n".join(out) + "\n")
    print("\n".join(out))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--fit", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.fit:
        fit(options)
    else:
        measure(options)


if __name__ == "__main__":
    main()

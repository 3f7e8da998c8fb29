"""Measure how late a walk may start, and write the rule tables of the klogic plugin.

    python training/calibrate_rules.py --data D --scenes 40 --first 0 --samples S.jsonl
    python training/calibrate_rules.py --fit S.jsonl --out src/sphinx_framework_lite/rules.toml

Calibration scenes only. For every scene the dense 50-step walk from pure noise is the reference;
walks that start from the regression latents at k = 0, 5, ..., 45 and the regression render itself
(k = 50) are scored against it, target by target.
"""

import argparse
import json
from pathlib import Path

import torch
from common import Scenes
from prepare_latents import stored_scene
from walks import Clip

from sphinx_framework.config import load_config
from sphinx_framework.policy.quality import Bracket, quality_report
from sphinx_framework.study.calibration import calibrated
from sphinx_framework.study.rule_file import rule_file
from sphinx_framework.study.rules import Fit
from sphinx_framework.study.samples import SceneSample, TargetSample
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
BINS = 3


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


def fit(options: argparse.Namespace) -> None:
    """Fit with the framework's own calibration, and write the rule file."""
    lines = [json.loads(line) for path in options.fit for line in path.read_text().splitlines()]
    samples = []
    for number in sorted({line["scene"] for line in lines}):
        mine = [line for line in lines if line["scene"] == number]
        targets = tuple(
            TargetSample(
                ratio=line["ratio"],
                scores={0: 1.0, **{int(k): share for k, share in line["share"].items()}},
            )
            for line in mine
        )
        samples.append(
            SceneSample(
                scene=f"calibration/{number:04d}",
                num_steps=STEPS,
                settings={},
                embedding=tuple(mine[0]["embedding"]),
                targets=targets,
            )
        )
    how = Fit(bins=BINS, min_samples=20, confidence=0.9, scenes_met=0.75)
    calibration = calibrated(samples, QUALITIES, clusters=options.clusters, min_scenes=8, fit=how)
    text = rule_file(
        load_config("lite"),
        calibration,
        how,
        name="lite",
        dataset=f"{len(samples)} generated calibration scenes, {len(lines)} targets",
        command="training/calibrate_rules.py",
        notes="Shares of the score of 50-step diffusion from noise; bfloat16 walks.",
    )
    options.out.write_text(text)
    print(text)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--fit", type=Path, nargs="+")
    parser.add_argument("--clusters", type=int, help="default: as many as separate well")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.fit:
        fit(options)
    else:
        measure(options)


if __name__ == "__main__":
    main()

"""The pipeline on posed photos: regression stage, result, plain two steps, and its worst frames.

    python benchmarks/real_photos.py re10k_room:4-10,8-18,0-33 dl3dv_140:10-14,0-29

Every argument is a folder of a posed capture, with pairs of frame numbers behind a colon: the two
inputs, between which all frames are targets (without pairs: a third of the capture, its middle;
``4-9-14`` has three inputs).
The regression stage is at full resolution, whatever the pipeline sets: that is the baseline to
beat. ``--set`` changes the pipeline of the result. Names like ``procedural:report/300-309`` render
built-in scenes, of which only the means are printed.

Prints PSNR, SSIM and gradient similarity (GMS), and the feature distance where its package is here,
and whether the promise held: no capture below the regression stage by more than 0.1 dB or .005
SSIM, no frame by more than 0.5 dB, and a gain in every measure over all captures.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.metrics import gradient_similarity, psnr, ssim
from sphinx_framework.scenes.frame_pairs import captured
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.evaluate.features import load_features
from sphinx_framework.types import Scene

FEATURES = "feature distance"
MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "psnr": psnr,
    "ssim": ssim,
    "gms": gradient_similarity,
}
DB, SSIM, FRAME_DB = 0.1, 0.005, 0.5  # the most that the mean of a capture, and a frame, may lose
REGRESSION, RESULT, TWO_STEPS = (
    "regression, full resolution",
    "result",
    "2 plain steps, same decode",
)


def generated(name: str, size: tuple[int, int]) -> list[Scene]:
    """``procedural:report/300-309`` to ten built-in scenes, with their ground truth."""
    split, _, numbers = name.rpartition("/")
    first, _, last = numbers.partition("-")
    return [
        load_scene(f"{split}/{i}", size=size) for i in range(int(first), int(last or first) + 1)
    ]


def measured(images: Tensor, scene: Scene) -> dict[str, list[float]]:
    """Every measure, frame by frame."""
    assert scene.target_images is not None
    return {name: of(images, scene.target_images).tolist() for name, of in MEASURES.items()}


def tell(scene: Scene, row: dict[str, dict[str, list[float]]]) -> None:
    """Print a capture's means, and how its worst frames compare with the regression stage."""
    print(f"{scene.name}, {len(scene.targets)} frames")
    for name, values in row.items():
        print(f"  {name:<28}{_line({k: fmean(v) for k, v in values.items()})}")
    gains = _gains(row)
    worse = sum(gain < -FRAME_DB for gain in gains)
    print(f"  worst frame {min(gains):+.2f} dB, {worse} frames lose more than 0.5 dB")


def verdict(rows: list[dict[str, dict[str, list[float]]]]) -> list[str]:
    """The promise on captures, line by line: held or not, with the numbers."""
    lost = {
        name: [fmean(row[REGRESSION][name]) - fmean(row[RESULT][name]) for row in rows]
        for name in MEASURES
    }
    frame = -min(gain for row in rows for gain in _gains(row))
    gains = {name: -fmean(values) for name, values in lost.items()}
    if FEATURES in gains:
        gains[FEATURES] *= -1  # smaller is closer
    told = ", ".join(f"{name} {gain:+.4f}" for name, gain in gains.items())
    most = (max(lost["psnr"]), max(lost["ssim"]))
    return [
        f"{_held(most[0] <= DB)}: the worst capture loses {most[0]:.2f} dB (at most {DB})",
        f"{_held(most[1] <= SSIM)}: the worst capture loses {most[1]:.4f} SSIM (at most {SSIM})",
        f"{_held(frame <= FRAME_DB)}: the worst frame loses {frame:.2f} dB (at most {FRAME_DB})",
        f"{_held(min(gains.values()) > 0)}: a gain in every measure in the mean ({told})",
    ]


def _held(held: bool) -> str:
    return "held" if held else "NOT HELD"


def main() -> None:
    """Print a line per capture and system, then means over captures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", metavar="FOLDER[:FIRST-LAST,...]")
    parser.add_argument("--config", default="lite")
    parser.add_argument("--mode", default=None, help="of the result (default: the pipeline's)")
    parser.add_argument("--side", type=int, help="square size in pixels (default: the pipeline's)")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sized = [f"size=[{arguments.side}, {arguments.side}]"] if arguments.side else []
    config = load_config(arguments.config, [*arguments.overrides, *sized])
    full = load_config(arguments.config, ["regression.stride=1", *sized])
    plain = load_config(
        arguments.config,
        [*arguments.overrides, *sized, "num_steps=2", "diffusion.solver=euler"],
    )
    engines = {
        REGRESSION: (Engine.from_config(full, device="cpu"), "regression"),
        RESULT: (Engine.from_config(config, device="cpu"), arguments.mode or config.mode),
        TWO_STEPS: (Engine.from_config(plain, device="cpu"), "diffusion"),
    }
    size = config.size or (96, 96)
    features = load_features(torch.device("cpu"))
    print(features.note)
    if features.distance is not None:
        MEASURES[FEATURES] = features.distance
    rows: list[dict[str, dict[str, list[float]]]] = []
    names: list[str] = []
    for argument in arguments.captures:
        told = not argument.startswith("procedural:")
        for scene in captured(argument, size) if told else generated(argument, size):
            row = {
                name: measured(engine.render(scene, mode=mode).images, scene)
                for name, (engine, mode) in engines.items()
            }
            rows.append(row)
            names.append(scene.name)
            if told:
                tell(scene, row)
    frames = [gain for row in rows for gain in _gains(row)]
    worse = sum(gain < -FRAME_DB for gain in frames)
    better = sum(fmean(_gains(row)) > 0 for row in rows)
    print(
        f"mean of {len(rows)} captures; PSNR better on {better}; of {len(frames)} frames {worse} "
        f"lose more than 0.5 dB, the worst {min(frames):+.2f} dB"
    )
    for name in engines:
        means = {k: fmean(fmean(row[name][k]) for row in rows) for k in MEASURES}
        print(f"  {name:<28}{_line(means)}")
    for line in verdict(rows):
        print(line)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        told_rows = [{"name": n, "systems": row} for n, row in zip(names, rows, strict=True)]
        arguments.json.write_text(json.dumps({"size": list(size), "captures": told_rows}))


def _gains(row: dict[str, dict[str, list[float]]]) -> list[float]:
    pairs = zip(row[RESULT]["psnr"], row[REGRESSION]["psnr"], strict=True)
    return [result - regression for result, regression in pairs]


def _line(values: dict[str, float]) -> str:
    told = f"{values['psnr']:6.2f} dB  SSIM {values['ssim']:.3f}  GMS {values['gms']:.3f}"
    return f"{told}  features {values[FEATURES]:.4f}" if FEATURES in values else told


if __name__ == "__main__":
    main()

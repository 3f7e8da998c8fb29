"""Quality and time of every system on held-out generated scenes, with intervals over scenes.

    python benchmarks/lite_tradeoff.py --scenes 40 --json out/lite_tradeoff.json --markdown out/t.md

Times are end to end without loading and writing. The baselines are not charged for the scoring and
planning that only Sphinx needs.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch
from systems import compared, engines

from sphinx_framework.config import load_config
from sphinx_framework.engine.report import device_name
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.loading import load_scene
from sphinx_framework.study.intervals import over_scenes
from sphinx_framework.study.metrics import gradient_similarity, inside, psnr, sharpness, ssim

HOLE_OPACITY = 0.5
COLUMNS = ("seconds", "speedup", "score_ratio", "psnr", "ssim", "gms", "sharpness", "hole_psnr")
HEADS = (
    "seconds",
    "speed-up",
    "score / diffusion",
    "PSNR",
    "SSIM",
    "gradient sim.",
    "log sharpness",
    "hole PSNR",
    "hole gradient sim.",
)


def measured(result: RenderResult) -> dict[str, float]:
    """Metrics of one render against ground truth, averaged over targets."""
    truth = result.scene.target_images.cpu()
    opacity = result.coarse.opacity
    holes = None if opacity is None else opacity.cpu() < HOLE_OPACITY
    seconds = result.report.seconds
    total = seconds.regression + seconds.encode + seconds.denoise + seconds.decode
    if result.report.mode not in ("regression", "diffusion"):
        total += seconds.quality + seconds.plan
    values = {
        "seconds": total,
        "score": float(torch.tensor([f.achieved_score for f in result.report.frames]).mean()),
        "psnr": float(psnr(result.images, truth).mean()),
        "ssim": float(ssim(result.images, truth).mean()),
        "gms": float(gradient_similarity(result.images, truth).mean()),
        "sharpness": float(sharpness(result.images).mean()),
        "frame_steps": result.report.counts.frame_steps,
    }
    if holes is not None:
        values["hole_share"] = float(holes.float().mean())
        values["hole_psnr"] = _pooled_psnr(result.images, truth, holes)
        values["hole_gms"] = float(gradient_similarity(result.images, truth, holes).nanmean())
    return values


def _pooled_psnr(images: torch.Tensor, truth: torch.Tensor, holes: torch.Tensor) -> float:
    """PSNR over all hole pixels of a scene together; NaN when there is none."""
    error = inside(
        (images - truth).square().mean(1).flatten()[None, None], holes.flatten()[None, None]
    )
    return float(-10 * torch.log10(error.clamp(min=1e-10)))


def run(scenes: int, split: str, config_name: str, device: str) -> dict[str, Any]:
    """Render every scene with every system."""
    base = load_config(config_name)
    systems = compared()
    made = engines(base, systems, device)
    rows: dict[str, list[dict[str, float]]] = {system.name: [] for system in systems}
    warm = load_scene(f"procedural:{split}/0", size=base.size)
    for system in systems[:2]:
        made[system.name].render(warm, mode=system.mode)
    for index in range(scenes):
        scene = load_scene(f"procedural:{split}/{index}", size=base.size)
        for system in systems:
            result = made[system.name].render(
                scene, mode=system.mode, quality=system.quality, seed=index
            )
            rows[system.name].append(measured(result))
        dense = rows["diffusion, 50 steps"][-1]
        for system in systems:
            own = rows[system.name][-1]
            own["speedup"] = dense["seconds"] / own["seconds"]
            own["score_ratio"] = own["score"] / dense["score"]
        print(f"scene {index + 1} of {scenes}", flush=True)
    machine = f"{device_name(torch.device(device))}, {platform.processor() or platform.machine()}"
    return {"machine": machine, "split": split, "scenes": scenes, "systems": rows}


def markdown(data: dict[str, Any]) -> str:
    """One row per system: means and 95 % intervals over scenes."""
    lines = [
        f"{data['scenes']} held-out scenes (split `{data['split']}`), {data['machine']}; means "
        "with 95 % bootstrap intervals over scenes.",
        "",
        "| system | " + " | ".join(HEADS) + " |",
        "|---" * (len(HEADS) + 1) + "|",
    ]
    digits = {"seconds": 2, "speedup": 2, "score_ratio": 3, "psnr": 2, "ssim": 3, "gms": 3}
    for name, values in data["systems"].items():
        cells = [
            over_scenes([v.get(column, float("nan")) for v in values]).text(digits.get(column, 2))
            for column in (*COLUMNS, "hole_gms")
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, print, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--split", default="report")
    parser.add_argument("--config", default="lite")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    data = run(arguments.scenes, arguments.split, arguments.config, arguments.device)
    table = markdown(data)
    print(table)
    for path, text in ((arguments.json, json.dumps(data)), (arguments.markdown, table)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()

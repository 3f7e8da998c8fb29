"""Running every system on every scene: one JSON file per scene, so that a killed run resumes."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.study.consistency import warped_difference
from sphinx_framework.study.metrics import gradient_similarity, psnr, sharpness, ssim
from sphinx_framework.study.systems import DENSE, System
from sphinx_framework.types import Scene

HOLE_OPACITY = 0.5
STAGES = ("regression", "quality", "plan", "encode", "denoise", "decode")
METHOD_STAGES = ("quality", "plan")
Measured = dict[str, float]


def request_seconds(result: RenderResult) -> dict[str, float]:
    """Seconds by stage and their sum, without loading and writing.

    The baselines are not charged for the scoring and planning that only the method needs.
    """
    seconds = result.report.seconds
    baseline = result.report.mode in ("regression", "diffusion")
    stages = {s: float(getattr(seconds, s)) for s in STAGES}
    if baseline:
        stages.update(dict.fromkeys(METHOD_STAGES, 0.0))
    if result.report.mode == "regression":
        stages["encode"] = stages["decode"] = 0.0
    return {**{f"seconds_{s}": v for s, v in stages.items()}, "seconds": sum(stages.values())}


def image_metrics(result: RenderResult) -> Measured:
    """Metrics of one render; those that need ground truth or depth are left out without it."""
    frames, coarse, scene = result.report.frames, result.coarse, result.scene
    images = result.images
    values: Measured = {
        "score": float(torch.tensor([f.achieved_score for f in frames]).mean()),
        "sharpness": float(sharpness(images).mean()),
        "frames_met": sum(not f.missed for f in frames) / len(frames),
        "frame_steps": float(result.report.counts.frame_steps),
        "mean_start": sum(f.start_step for f in frames) / len(frames),
        "cache_bytes": float(result.report.cache_bytes_peak),
    }
    if coarse.depth is not None and len(images) > 1:
        drift = warped_difference(images, coarse.depth.cpu(), scene.targets.to(torch.device("cpu")))
        values["drift"] = _mean(drift)
        values["drift_worst"] = float(drift.nan_to_num(-1).max())
    if scene.target_images is None:
        return values
    truth = scene.target_images.cpu()
    per_frame = psnr(images, truth)
    values["psnr"] = float(per_frame.mean())
    values["psnr_worst"] = float(per_frame.min())
    values["ssim"] = float(ssim(images, truth).mean())
    values["gms"] = float(gradient_similarity(images, truth).mean())
    if coarse.opacity is not None:
        holes = coarse.opacity.cpu() < HOLE_OPACITY
        values["hole_share"] = float(holes.float().mean())
        values["hole_psnr"] = _pooled_psnr(images, truth, holes)
        values["hole_gms"] = _mean(gradient_similarity(images, truth, holes))
    return values


def evaluate_scene(
    engines: dict[str, Engine],
    systems: Sequence[System],
    scene: Scene,
    seed: int,
    keep: Callable[[str, RenderResult], None] | None = None,
) -> dict[str, Measured]:
    """All systems on one scene; speed-up and kept score are relative to full diffusion."""
    rows: dict[str, Measured] = {}
    for system in systems:
        result = engines[system.name].render(
            scene, mode=system.mode, quality=system.quality, seed=seed
        )
        rows[system.name] = {**image_metrics(result), **request_seconds(result)}
        if keep is not None:
            keep(system.name, result)
    dense = rows[DENSE]
    for system in systems:
        own = rows[system.name]
        own["speedup"] = dense["seconds"] / own["seconds"]
        own["kept"] = own["score"] / dense["score"]
        own["met"] = float(own["kept"] >= system.quality)
    return rows


def evaluate(
    engines: dict[str, Engine],
    systems: Sequence[System],
    scenes: Sequence[tuple[str, Callable[[], Scene]]],
    folder: Path,
    keep: Callable[[str, str, RenderResult], None] | None = None,
) -> Iterator[tuple[str, dict[str, Measured]]]:
    """Evaluate scenes that have no file yet; yields every scene's rows in order."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {system.name for system in systems}
    for index, (name, load) in enumerate(scenes):
        path = folder / f"{index:04d}.json"
        recorded = json.loads(path.read_text()) if path.exists() else None
        if recorded is None or recorded["scene"] != name or set(recorded["systems"]) != wanted:
            scene = load()
            kept = (
                None if keep is None else (lambda system, result, n=name: keep(n, system, result))
            )
            rows = evaluate_scene(engines, systems, scene, index, kept)
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"scene": name, "systems": rows}, indent=1))
            os.replace(part, path)
        else:
            rows = recorded["systems"]
        yield name, rows


def _mean(values: Tensor) -> float:
    known = values[torch.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _pooled_psnr(images: Tensor, truth: Tensor, region: Tensor) -> float:
    """PSNR over all pixels of a region together; NaN when there is none."""
    squared = (images - truth).square().mean(1)[region]
    return (
        float(-10 * torch.log10(squared.mean().clamp(min=1e-10))) if len(squared) else float("nan")
    )

"""Assembling the report: what was decided, what was executed, what it cost."""

import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.decisions import Decisions, missed_targets
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.result import Counts, FrameReport, Report, StepTrace
from sphinx_framework.errors import encodable
from sphinx_framework.metrics import SMALLEST_SSIM_SIDE, psnr, ssim
from sphinx_framework.perceptual import SMALLEST_LPIPS_SIDE, report_lpips
from sphinx_framework.policy.schedule import Full, Schedule
from sphinx_framework.version import __version__

LARGEST_PSNR = 100.0


def build_report(
    components: Components,
    config: PipelineConfig,
    device: torch.device,
    *,
    request: Request,
    decisions: Decisions,
    achieved: Float[Tensor, " T"],
    images: Float[Tensor, "T 3 H W"],
) -> Report:
    """Collect everything into the typed report; counts come from the executed moves."""
    quality = decisions.quality
    steps_run, planned = _steps_run(request, decisions), _planned_steps(decisions)
    similarity = _similarity(images, request.scene.target_images)
    missed = missed_targets(achieved, decisions, request.quality)
    full_ratio = decisions.start_steps.full_ratio
    fractions = decisions.mask.float().mean((1, 2)).tolist()
    frames = []
    for index in range(len(request.scene.targets)):
        ratio = float(achieved[index] / quality.reference[index])
        reason = _reason(index, request, decisions, refined=steps_run[index] > 0)
        frames.append(
            FrameReport(
                index=index,
                score=float(quality.score[index]),
                reference=float(quality.reference[index]),
                ratio=float(quality.ratio[index]),
                start_step=decisions.starts[index],
                mask_fraction=fractions[index],
                steps_run=steps_run[index],
                achieved_score=float(achieved[index]),
                achieved_ratio=ratio,
                steps=planned[index],
                served="regression" if reason else "refined",
                evidence=request.evidence.get(index),
                lost=request.lost.get(index),
                psnr=similarity[index][0],
                ssim=similarity[index][1],
                lpips=similarity[index][2],
                reason=reason,
                full_ratio=None if full_ratio is None else full_ratio[index],
                missed=missed[index] or index in request.withheld,
            )
        )
    return Report(
        config=config.model_dump(mode="json"),
        scene=encodable(request.scene.name),
        seed=request.seed,
        device=device_name(device),
        versions=_versions(components.licences),
        licences=list(components.licences),
        mode=request.mode,
        quality_target=request.quality,
        objective=decisions.start_steps.objective,
        threads=torch.get_num_threads(),
        num_steps=config.num_steps,
        cluster=decisions.start_steps.cluster,
        frames=frames,
        schedule=schedule_text(decisions.schedules),
        counts=_counts(request, decisions, config.num_steps),
        seconds=request.seconds,
        predicted_denoise_seconds=decisions.predicted_denoise_seconds,
        predicted_seconds=decisions.predicted_seconds,
        pace=decisions.pace,
        cost_model=config.cost.measured or "assumed, not measured",
        cache_bytes_peak=request.cache_bytes_peak,
        energy_joules=request.energy.joules,
        energy_note=request.energy.note,
        trace=[
            StepTrace(
                clip=clip,
                step=move.action.step,
                kind=move.kind,
                frames=schedule.num_frames
                if isinstance(move.action, Full)
                else len(move.action.frames),
                rows=move.rows,
                seconds=move.seconds,
            )
            for clip, schedule, move in request.moves
        ],
        notes=list(dict.fromkeys([*decisions.notes, *request.notes])),
        warnings=list(dict.fromkeys(map(encodable, request.warnings))),
    )


def schedule_text(schedules: tuple[Schedule, ...]) -> str:
    """One line per clip; frame numbers are slot positions within the clip."""
    if len(schedules) == 1:
        return schedules[0].text()
    return "\n".join(f"clip {i}: {s.text()}" for i, s in enumerate(schedules))


def device_name(device: torch.device) -> str:
    """``cuda (NVIDIA ...)`` or ``cpu (x86_64)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    plural = "" if threads == 1 else "s"
    return f"{device} ({platform.machine()}, {threads} thread{plural})"


def _steps_run(request: Request, decisions: Decisions) -> list[int]:
    counts = [0] * len(request.scene.targets)
    for clip, _, move in request.moves:
        made = decisions.layouts[clip].made
        for latent in move.action.frames:
            for target in made.get(latent, ()):
                counts[target] += 1
    return counts


def _similarity(
    images: Float[Tensor, "T 3 H W"], truth: Float[Tensor, "T 3 H W"] | None
) -> list[tuple[float | None, float | None, float | None]]:
    """PSNR in dB (at most 100), SSIM and LPIPS of every target; ``None`` where not to be had."""
    unknown = [None] * len(images)
    if truth is None:
        return list(zip(unknown, unknown, unknown, strict=True))
    images, truth = images.cpu(), truth.cpu()
    decibels = psnr(images, truth).clamp(max=LARGEST_PSNR).tolist()
    structure, distance = unknown, unknown
    small = min(truth.shape[-2:]) < SMALLEST_SSIM_SIDE
    if not small and find_spec("skimage") is not None:  # the extra 'study'
        structure = ssim(images, truth).tolist()
    perceptual = report_lpips()
    if perceptual is not None and min(truth.shape[-2:]) >= SMALLEST_LPIPS_SIDE:
        distance = perceptual(images, truth).tolist()
    return list(zip(decibels, structure, distance, strict=True))


def _planned_steps(decisions: Decisions) -> list[int]:
    """Solver steps that the schedules take each target through; of a retried one, the last."""
    first, again = (_steps_of(decisions, s) for s in (decisions.schedules, decisions.again))
    return [second or steps for steps, second in zip(first, again, strict=True)]


def _steps_of(decisions: Decisions, schedules: tuple[Schedule, ...]) -> list[int]:
    counts = [0] * len(decisions.starts)
    for layout, schedule in zip(decisions.layouts, schedules, strict=False):
        for latent, targets in layout.made.items():
            for target in targets:
                counts[target] = sum(latent in action.frames for action in schedule.actions)
    return counts


def _reason(index: int, request: Request, decisions: Decisions, *, refined: bool) -> str | None:
    """Why a target is served as the regression model rendered it."""
    if index in request.withheld:
        return request.withheld[index]
    if refined:
        return None
    if request.mode == "regression":
        return "mode regression"
    if index in decisions.unproven:
        return "the inputs prove too little of it"
    return "the step policy serves it as rendered"


def _counts(request: Request, decisions: Decisions, num_steps: int) -> Counts:
    full = sum(isinstance(move.action, Full) for _, _, move in request.moves)
    frame_steps = sum(
        schedule.num_frames if isinstance(move.action, Full) else len(move.action.frames)
        for _, schedule, move in request.moves
    )
    return Counts(
        full_steps=full,
        partial_steps=len(request.moves) - full,
        frame_steps=frame_steps,
        frame_steps_dense=num_steps * sum(layout.num_latents for layout in decisions.layouts),
    )


def _versions(licences: tuple[dict[str, Any], ...]) -> dict[str, str]:
    versions = {
        "sphinx-framework": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    for entry in licences:
        name, _, number = str(entry["distribution"]).partition(" ")
        versions[name] = number
    return versions | _optional_versions()


@cache
def _optional_versions() -> dict[str, str]:
    """Of packages that plugins may use; looked up once, since their metadata are files."""
    found = {}
    for name in ("diffusers", "gsplat"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

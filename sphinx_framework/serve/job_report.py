"""A job's plan and measurements as JSON, from the engine's typed values."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.events import Planned
from sphinx_framework.engine.report import schedule_text
from sphinx_framework.engine.result import Report
from sphinx_framework.serve.scene_files import camera_list, without_paths
from sphinx_framework.types import ClipLayout, RefineMask, Scene

MOST_CELLS = 48


def plan_view(
    planned: Planned, layouts: Sequence[ClipLayout], order: dict[str, Any], config: PipelineConfig
) -> dict[str, Any]:
    """The job's ``plan``: the schedule and why each frame got it."""
    schedules = planned.schedules
    starts = [0] * len(planned.mask)
    for layout, schedule in zip(layouts, schedules, strict=True):
        for position, target in layout.targets.items():
            starts[target] = schedule.starts[position]
    dense = config.num_steps * sum(len(layout) for layout in layouts)
    return {
        "schedule": schedule_text(schedules),
        "start_steps": starts,
        "num_steps": config.num_steps,
        "frame_steps": sum(schedule.frame_steps for schedule in schedules),
        "frame_steps_dense": dense,
        "predicted_seconds": planned.predicted_seconds,
        "predicted_denoise_seconds": planned.predicted_denoise_seconds,
        "quality": order["quality"],
        "objective": planned.objective,
        "mode": order["mode"],
        "degraded": order["degraded"],
        "ratios": [round(float(ratio), 6) for ratio in planned.quality.ratio],
        "mask_fractions": [round(float(mask.float().mean()), 6) for mask in planned.mask],
    }


def mask_cells(mask: RefineMask) -> dict[str, Any]:
    """Masks small enough for an event: at most 48 cells a side, one bit each, in base64.

    A cell is set where half of its pixels are; bits go row by row, the first one highest.
    """
    side = -(-max(mask.shape[-2:]) // MOST_CELLS)
    cells = F.avg_pool2d(mask.float()[:, None], side, ceil_mode=True)[:, 0] >= 0.5
    packed = [np.packbits(one.numpy().ravel()).tobytes() for one in cells.cpu()]
    return {
        "height": cells.shape[1],
        "width": cells.shape[2],
        "cells": [base64.b64encode(bits).decode("ascii") for bits in packed],
    }


def estimated_cameras(scene: Scene) -> dict[str, Any]:
    """Where photos that came alone were taken, and the path made from that; OpenCV axes."""
    return {
        "convention": "opencv_c2w",
        "near": scene.near,
        "far": scene.far,
        "inputs": camera_list(scene, scene.inputs),
        "targets": camera_list(scene, scene.targets),
    }


def measured(report: Report) -> dict[str, Any]:
    """What the server's metrics take from a report."""
    served = [frame.served for frame in report.frames]
    return {
        "mode": report.mode,
        "seconds": report.seconds.model_dump(exclude={"load_models", "total"}),
        "total_seconds": report.seconds.total,
        "predicted_seconds": report.predicted_seconds,
        "frames": {name: served.count(name) for name in ("regression", "refined")},
        "frame_steps": report.counts.frame_steps,
        "frame_steps_dense": report.counts.frame_steps_dense,
        "mask_fractions": [frame.mask_fraction for frame in report.frames],
        "achieved_ratios": [frame.achieved_ratio for frame in report.frames],
        "rows": [move.rows for move in report.trace],
        "energy_joules": report.energy_joules,
        "device": report.device.split(" ")[0],
    }


def redact(report: Report, folder: str) -> None:
    """Cut the server's paths out of a report that a client will read."""
    report.config = _without_paths(report.config)
    report.warnings[:] = [without_paths(text, [folder]) for text in report.warnings]
    report.notes[:] = [without_paths(text, [folder]) for text in report.notes]


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_paths(entry) for entry in value]
    if isinstance(value, str) and os.path.isabs(value):
        return Path(value).name
    return value

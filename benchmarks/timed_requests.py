"""Whole requests at drawn quality ratios: what ``whole_request.py`` and the GPU kit time."""

from dataclasses import replace
from time import perf_counter
from typing import Any

import torch

from sphinx_framework.engine.engine import Engine
from sphinx_framework.frame_plan import Walk
from sphinx_framework.protocols import StepPolicy
from sphinx_framework.types import QualityReport, Scene, StartSteps


class DrawnRatios:
    """The pipeline's step policy, at drawn quality ratios; ``walk``: instead of the rules' own."""

    def __init__(self, policy: StepPolicy, seed: int, walk: Walk | None = None) -> None:
        self.policy = policy
        self.seed = seed
        self.walk = walk

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Start steps for ratios drawn from [0.6, 1.1]."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn = 0.6 + 0.5 * torch.rand(len(report.ratio), generator=generator)
        told = self.policy.start_steps(replace(report, ratio=drawn), scene, quality, num_steps)
        return told if self.walk is None else replace(told, walks=(self.walk,) * len(drawn))


def measured(engine: Engine, scene: Scene, mode: Any, seed: int) -> dict[str, Any]:
    """One request: seconds by stage, counts, peak memory."""
    cuda = engine.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    started = perf_counter()
    report = engine.render(scene, mode=mode, seed=seed).report
    return {
        "mode": mode,
        "wall_seconds": perf_counter() - started,
        "seconds": report.seconds.model_dump(),
        "counts": report.counts.model_dump(),
        "cache_bytes_peak": report.cache_bytes_peak,
        "device_bytes_peak": torch.cuda.max_memory_allocated() if cuda else None,
        "starts": [frame.start_step for frame in report.frames],
        "joules": report.energy_joules,
        "notes": report.notes,
    }

"""Stage 2 of the road: from coarse views to one schedule per clip, before diffusion starts."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.errors import CapabilityError, ConfigError
from sphinx_framework.geometry import brackets
from sphinx_framework.policy.budget import Budgeted, Prediction, fit_budget, request_seconds
from sphinx_framework.policy.plan import lower, plan
from sphinx_framework.policy.quality import quality_report
from sphinx_framework.policy.region import pixels_of, tiles_of
from sphinx_framework.policy.schedule import Mode, Schedule
from sphinx_framework.types import (
    ClipLayout,
    CoarseViews,
    QualityReport,
    RefineMask,
    Scene,
    StartSteps,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Everything decided before diffusion; CPU data only.

    starts: per target after the mode's adjustments. keep: pixels that stay the regression's, per
    target, or ``None`` where no compositing is planned.
    """

    quality: QualityReport
    start_steps: StartSteps
    starts: tuple[int, ...]
    mask: RefineMask
    keep: Bool[Tensor, "T H W"] | None
    layouts: tuple[ClipLayout, ...]
    schedules: tuple[Schedule, ...]
    predicted_seconds: float | None
    notes: tuple[str, ...]


def assess(
    components: Components, config: PipelineConfig, scene: Scene, coarse: CoarseViews
) -> QualityReport:
    """Score coarse views and inputs, and relate them at the targets' true positions (eq. 2)."""
    return quality_report(
        components.quality.score(coarse.images, coarse.opacity),
        components.quality.score(scene.images),
        brackets(scene),
        config.gamma,
    )


def decide(
    components: Components,
    config: PipelineConfig,
    scene: Scene,
    coarse: CoarseViews,
    report: QualityReport,
    *,
    mode: Mode,
    quality: float,
) -> Decisions:
    """Start steps, masks, and a lowered schedule for every clip."""
    diffusion = components.diffusion
    chosen = components.steps.start_steps(report, scene, quality, config.num_steps)
    mask = components.mask.mask(coarse, scene, chosen.cluster).cpu()
    starts = list(chosen.steps)
    region: Bool[Tensor, "T y x"] | None = None
    if mode == "selective":
        region = tiles_of(
            mask, diffusion.latent_factor, diffusion.tile, config.plan.region_dilation
        )
        nothing = ~region.flatten(1).any(1)
        starts = [
            config.num_steps if bool(empty) else start
            for start, empty in zip(starts, nothing, strict=True)
        ]
    layouts = diffusion.layouts(scene)

    def predict(candidate: tuple[int, ...]) -> float:
        plans = [
            _clip_schedule(components, config, layout, list(candidate), region, mode)
            for layout in layouts
        ]
        return request_seconds(config.cost, plans)[0]

    budget = _budgeted(config, mode, starts, predict)
    starts = starts if budget is None else list(budget.starts)
    schedules = tuple(
        _clip_schedule(components, config, layout, starts, region, mode) for layout in layouts
    )
    said = [
        *(() if budget is None else (budget.note(),)),
        *(n for layout in layouts for n in layout.notes),
        *(n for s in schedules for n in s.notes),
    ]
    notes = tuple(dict.fromkeys(said))
    if config.engine.strict and budget is not None and not budget.met:
        raise CapabilityError(f"{budget.note()}.", hint="Raise the budget, or drop engine.strict.")
    if config.engine.strict and any(note.endswith(("subsets", "sparsity")) for note in notes):
        raise CapabilityError(
            f"mode {mode!r} cannot be run as asked: {'; '.join(notes)}.",
            hint="Drop engine.strict, or choose a mode that the model can run.",
        )
    final = _final_starts(layouts, schedules, len(scene.targets))
    predictions = [config.cost.denoise_seconds(s) for s in schedules]
    return Decisions(
        quality=report,
        start_steps=chosen,
        starts=final,
        mask=mask,
        keep=_kept_pixels(config, mode, region, final, coarse, diffusion),
        layouts=layouts,
        schedules=schedules,
        predicted_seconds=(
            sum(p for p in predictions if p is not None) if None not in predictions else None
        ),
        notes=(*chosen.notes, *notes),
    )


def _budgeted(
    config: PipelineConfig, mode: Mode, starts: list[int], predict: Prediction
) -> Budgeted | None:
    """Later starts, where the pipeline has a latency budget and the mode may use one.

    Raises :class:`ConfigError` without a measured cost model: nothing could be predicted.
    """
    if config.engine.budget_ms is None or mode in ("diffusion", "regression"):
        return None
    if not config.cost.measured:
        raise ConfigError(
            "a latency budget needs a measured cost table.",
            hint="Run sphinx-nvs measure, and pass its file with --cost.",
        )
    return fit_budget(
        starts,
        config.num_steps,
        predict,
        config.engine.budget_ms / 1000,
        spacing=config.plan.stride,
        latest=config.plan.max_start,
    )


def _clip_schedule(
    components: Components,
    config: PipelineConfig,
    layout: ClipLayout,
    starts: list[int],
    region: Tensor | None,
    mode: Mode,
) -> Schedule:
    """Plan and lower one clip; slots that are inputs or given targets never advance."""
    own = layout.targets
    slots = [starts[own[position]] if position in own else None for position in range(len(layout))]
    clip_region = None
    if region is not None:
        clip_region = torch.zeros(len(layout), *region.shape[1:], dtype=torch.bool)
        for position, target in own.items():
            clip_region[position] = region[target]
    planned = plan(mode, slots, config.num_steps, config.plan, clip_region)
    return lower(planned, components.capabilities, config.cost)


def _final_starts(
    layouts: tuple[ClipLayout, ...], schedules: tuple[Schedule, ...], num_targets: int
) -> tuple[int, ...]:
    final = [0] * num_targets
    for layout, schedule in zip(layouts, schedules, strict=True):
        for position, target in layout.targets.items():
            final[target] = schedule.starts[position]
    return tuple(final)


def _kept_pixels(
    config: PipelineConfig,
    mode: Mode,
    region: Tensor | None,
    starts: tuple[int, ...],
    coarse: CoarseViews,
    diffusion: Any,
) -> Bool[Tensor, "T H W"] | None:
    """Pixels of refined frames that the plan leaves to the regression model."""
    if mode != "selective" or region is None or not config.plan.composite:
        return None
    height, width = coarse.images.shape[-2:]
    crowded = region.float().mean((1, 2)) > config.plan.region_max_fraction
    covered = pixels_of(region | crowded[:, None, None], diffusion.latent_factor * diffusion.tile)
    keep = ~covered[:, :height, :width]
    keep[[start == config.num_steps for start in starts]] = False
    return keep


def retried(
    components: Components, decisions: Decisions, missed: list[int], config: PipelineConfig
) -> Decisions:
    """A second plan in which missed targets start at half their step and all others are held."""
    starts = tuple(
        start // 2 if index in missed else config.num_steps
        for index, start in enumerate(decisions.starts)
    )
    uncapped = config.plan.model_copy(update={"max_start": None})  # held targets stay held
    schedules = []
    for layout in decisions.layouts:
        own = layout.targets
        slots = [starts[own[p]] if p in own else None for p in range(len(layout))]
        planned = plan("fine", slots, config.num_steps, uncapped)
        schedules.append(lower(planned, components.capabilities, config.cost))
    return replace(decisions, starts=starts, schedules=tuple(schedules), keep=None)

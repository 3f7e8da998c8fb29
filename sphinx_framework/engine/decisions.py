"""Stage 2 of the road: from coarse views to one schedule per clip, before diffusion starts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.errors import CapabilityError, ConfigError
from sphinx_framework.geometry.brackets import brackets
from sphinx_framework.policy.budget import (
    Budgeted,
    Prediction,
    energy_budget_seconds,
    fit_budget,
    request_seconds,
)
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.evidence import unproven
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
    target, or ``None`` where no compositing is planned. predicted_denoise_seconds: of the loop;
    predicted_seconds: of the whole request; ``None`` where the cost model was not measured.
    unproven: targets that are not refined because the inputs prove too little of them.
    pace: what both are scaled by, against the cost table's seconds.
    """

    quality: QualityReport
    start_steps: StartSteps
    starts: tuple[int, ...]
    mask: RefineMask
    keep: Bool[Tensor, "T H W"] | None
    layouts: tuple[ClipLayout, ...]
    schedules: tuple[Schedule, ...]
    predicted_denoise_seconds: float | None
    predicted_seconds: float | None
    notes: tuple[str, ...]
    unproven: tuple[int, ...] = ()
    pace: float = 1.0

    def at_pace(self, pace: float) -> "Decisions":
        """The same plan with its predictions scaled; nothing else may depend on the pace."""
        denoise, whole = self.predicted_denoise_seconds, self.predicted_seconds
        return replace(
            self,
            predicted_denoise_seconds=None if denoise is None else denoise * pace,
            predicted_seconds=None if whole is None else whole * pace,
            pace=pace,
        )


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
    unseen = unproven(coarse.opacity, config.evidence.min_opacity)
    for index in unseen:
        starts[index] = config.num_steps
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
    final = _final_starts(layouts, schedules, len(scene.targets))
    # A baseline, or a latent shared with a proven target, refines it all the same.
    unseen = tuple(index for index in unseen if final[index] == config.num_steps)
    said = [
        *_unproven_notes(unseen, config),
        *(() if budget is None else _budget_notes(budget, config.cost, schedules)),
        *(n for layout in layouts for n in layout.notes),
        *(n for s in schedules for n in s.notes),
    ]
    notes = tuple(dict.fromkeys(said))
    if config.engine.strict and budget is not None and not budget.met:
        raise CapabilityError(f"{budget.note()}.", hint="Raise the budget, or drop engine.strict.")
    lowered = [lowering.kind for s in schedules for lowering in s.lowered]
    if config.engine.strict and any(kind != "tiles_do_not_pay" for kind in lowered):
        raise CapabilityError(
            f"mode {mode!r} cannot be run as asked: {'; '.join(notes)}.",
            hint="Drop engine.strict, or choose a mode that the model can run.",
        )
    denoise_seconds, seconds = _predictions(config.cost, schedules)
    return Decisions(
        quality=report,
        start_steps=chosen,
        starts=final,
        mask=mask,
        keep=_kept_pixels(config, mode, region, final, coarse, diffusion),
        layouts=layouts,
        schedules=schedules,
        predicted_denoise_seconds=denoise_seconds,
        predicted_seconds=seconds,
        notes=(*chosen.notes, *notes),
        unproven=unseen,
    )


def missed_targets(
    achieved: Float[Tensor, " T"], decisions: Decisions, quality: float
) -> tuple[bool, ...]:
    """Whether each target's score is below ``quality`` of what full diffusion would reach.

    The rules tell what full diffusion reached on calibration scenes, as a ratio to the inputs'
    interpolated score; rules that do not know are taken to mean that score itself. Where the rules'
    objective is the truth, which nobody knows at run time, no score tells: only lost evidence does.
    """
    if decisions.start_steps.objective == "truth":
        return (False,) * len(decisions.starts)
    ratios = (achieved / decisions.quality.reference).tolist()
    full = decisions.start_steps.full_ratio or (1.0,) * len(ratios)
    return tuple(ratio < quality * whole for ratio, whole in zip(ratios, full, strict=True))


def _predictions(
    cost: CostModel, schedules: tuple[Schedule, ...]
) -> tuple[float | None, float | None]:
    """Seconds of the loop and of the whole request; ``None`` where something was not measured."""
    if not cost.measured:
        return None, None
    seconds, unmeasured = request_seconds(cost, schedules)
    denoise = sum(cost.denoise_seconds(schedule) or 0.0 for schedule in schedules)
    return denoise, None if unmeasured else seconds


def _budgeted(
    config: PipelineConfig, mode: Mode, starts: list[int], predict: Prediction
) -> Budgeted | None:
    """Later starts, where the pipeline has a budget and the mode may use one."""
    budget = _budget_seconds(config)
    if budget is None or mode in ("diffusion", "regression"):
        return None
    return fit_budget(
        starts,
        config.num_steps,
        predict,
        budget,
        spacing=config.plan.stride,
        latest=config.plan.max_start,
    )


def _budget_seconds(config: PipelineConfig) -> float | None:
    """The tighter of the latency and the energy budget, in seconds.

    Raises :class:`ConfigError` without a measured cost table: nothing could be predicted.
    """
    milliseconds, joules = config.engine.budget_ms, config.engine.budget_joules
    if milliseconds is None and joules is None:
        return None
    hint = "Run sphinx-nvs measure, and pass its file with --cost."
    if not config.cost.measured:
        raise ConfigError("a budget needs a measured cost table.", hint=hint)
    budgets = [] if milliseconds is None else [milliseconds / 1000]
    if joules is not None:
        if config.cost.watts is None:
            raise ConfigError(
                "an energy budget needs a cost table with the device's power (watts).",
                hint=f"{hint} It holds watts where an energy meter works: see sphinx-nvs doctor.",
            )
        budgets.append(energy_budget_seconds(joules, config.cost.watts))
    return min(budgets)


def _unproven_notes(unseen: tuple[int, ...], config: PipelineConfig) -> tuple[str, ...]:
    if not unseen:
        return ()
    listed = ", ".join(str(index) for index in unseen)
    return (
        f"targets {listed} are served as rendered: the inputs prove too little of them (mean "
        f"opacity below evidence.min_opacity = {config.evidence.min_opacity:g})",
    )


def _budget_notes(
    budget: Budgeted, cost: CostModel, schedules: tuple[Schedule, ...]
) -> Iterator[str]:
    yield budget.note()
    unmeasured = request_seconds(cost, schedules)[1]
    if unmeasured:
        yield (
            f"the budget leaves out {', '.join(unmeasured)}: the cost table does not know their "
            "times"
        )


def _clip_schedule(
    components: Components,
    config: PipelineConfig,
    layout: ClipLayout,
    starts: list[int],
    region: Tensor | None,
    mode: Mode,
) -> Schedule:
    """Plan and lower one clip; inputs and given targets never advance."""
    clip_region = None
    if region is not None:
        clip_region = torch.zeros(layout.num_latents, *region.shape[1:], dtype=torch.bool)
        for latent, targets in layout.made.items():
            clip_region[latent] = region[list(targets)].any(0)
    planned = plan(mode, _latent_starts(layout, starts), config.num_steps, config.plan, clip_region)
    return lower(planned, components.capabilities, config.cost)


def _latent_starts(layout: ClipLayout, starts: Sequence[int]) -> list[int | None]:
    """Start of every latent: the earliest of its targets; ``None`` where it makes none."""
    made = layout.made
    return [
        min(starts[target] for target in made[latent]) if latent in made else None
        for latent in range(layout.num_latents)
    ]


def _final_starts(
    layouts: tuple[ClipLayout, ...], schedules: tuple[Schedule, ...], num_targets: int
) -> tuple[int, ...]:
    final = [0] * num_targets
    for layout, schedule in zip(layouts, schedules, strict=True):
        for latent, targets in layout.made.items():
            for target in targets:
                final[target] = schedule.starts[latent]
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
        planned = plan("fine", _latent_starts(layout, starts), config.num_steps, uncapped)
        schedules.append(lower(planned, components.capabilities, config.cost))
    return replace(decisions, starts=starts, schedules=tuple(schedules), keep=None)

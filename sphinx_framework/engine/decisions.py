"""Stage 2 of the road: from coarse views to one schedule per clip, before diffusion starts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.budgets import budget_notes, budgeted, predictions
from sphinx_framework.engine.clips import clips
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.scoring import target_evidence, view_scores
from sphinx_framework.engine.solvers import check_finishing, check_guidance, check_solvers
from sphinx_framework.errors import CapabilityError, printable
from sphinx_framework.frame_plan import OWN, FramePlan
from sphinx_framework.geometry.brackets import brackets
from sphinx_framework.policy.budget import request_seconds
from sphinx_framework.policy.clip_plan import Planner, refined_tiles, target_starts
from sphinx_framework.policy.evidence import unproven
from sphinx_framework.policy.quality import quality_report
from sphinx_framework.policy.region import pixels_of, tiles_of
from sphinx_framework.policy.schedule import METHOD_MODES, Mode, Schedule
from sphinx_framework.types import (
    ClipLayout,
    CoarseViews,
    QualityReport,
    RefineMask,
    Scene,
    ScoreEvidence,
    StartSteps,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Everything decided before diffusion; CPU data only.

    starts: per target after the mode's adjustments. keep: pixels that stay the regression's, per
    target, or ``None`` where no compositing is planned. predicted_denoise_seconds: of the loop;
    predicted_seconds: of the whole request; ``None`` where the cost model was not measured.
    unproven: targets that are not refined because the inputs prove too little of them.
    full: the request is full diffusion, bit for bit: nothing of it is masked, held or withheld.
    pace: what both are scaled by, against the cost table's seconds.
    again: the schedules of a retry; ``starts`` has the retried targets' second ones then.
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
    full: bool = False
    pace: float = 1.0
    again: tuple[Schedule, ...] = ()

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
    components: Components,
    config: PipelineConfig,
    scene: Scene,
    coarse: CoarseViews,
    known: Callable[[], ScoreEvidence] | None = None,
) -> QualityReport:
    """Score coarse views and inputs, and relate them at the targets' true positions (eq. 2).

    known: what is known of the targets, where the request keeps it for later.
    """
    scores = view_scores(
        components.quality, scene, coarse, known or (lambda: target_evidence(scene, coarse))
    )
    report = quality_report(*scores, brackets(scene), config.gamma)
    return replace(report, coarse=coarse)


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
    walks = chosen.walks or (OWN,) * len(starts)
    check_solvers(components, config, walks)
    check_guidance(components, config)
    check_finishing(components, config)
    full = mode in METHOD_MODES and all(
        FramePlan(start, walk).full(config.num_steps)
        for start, walk in zip(starts, walks, strict=True)
    )
    unseen = () if full else unproven(coarse.opacity, config.evidence.min_opacity)
    for index in unseen:
        starts[index] = config.num_steps
    region: Bool[Tensor, "T y x"] | None = None
    if mode == "selective" and not full:
        region = tiles_of(
            mask, diffusion.latent_factor, diffusion.tile, config.plan.region_dilation
        )
        nothing = ~region.flatten(1).any(1)
        starts = [
            config.num_steps if bool(empty) else start
            for start, empty in zip(starts, nothing, strict=True)
        ]
    layouts = clips(diffusion, scene, mode)
    height, width = scene.targets.image_size
    cost = config.cost.at(height * width)
    planner = replace(_planner(components, config), cost=cost)
    # How often a cache will drift nobody knows before: predictions assume the period.
    periodic = config.plan.model_copy(update={"refresh": "period"})
    expected = replace(planner, config=periodic)

    def predict(candidate: tuple[int, ...]) -> float:
        return request_seconds(cost, expected.schedules(mode, layouts, candidate, region, walks))[0]

    budget = budgeted(config, mode, starts, predict)
    starts = starts if budget is None else list(budget.starts)
    schedules = planner.schedules(mode, layouts, starts, region, walks)
    final = target_starts(layouts, schedules, len(scene.targets))
    keep = None
    if region is not None and config.plan.composite:
        refined = refined_tiles(layouts, schedules, region)
        side = diffusion.latent_factor * diffusion.tile
        keep = _kept_pixels(config, refined, final, side, scene.targets.image_size)
    # A baseline, or a latent shared with a proven target, refines it all the same.
    unseen = tuple(index for index in unseen if final[index] == config.num_steps)
    said = [
        *_unproven_notes(unseen, config),
        *(() if budget is None else budget_notes(budget, cost, schedules)),
        *(n for layout in layouts for n in layout.notes),
        *(n for s in schedules for n in s.notes),
    ]
    notes = tuple(dict.fromkeys(said))
    # Less than the regression views there is not: they are what a late request falls back on.
    unmet = budget is not None and not budget.met and mode != "regression"
    if config.engine.strict and budget is not None and unmet:
        raise CapabilityError(f"{budget.note()}.", hint="Raise the budget, or drop engine.strict.")
    lowered = [lowering.kind for s in schedules for lowering in s.lowered]
    if config.engine.strict and any(kind != "tiles_do_not_pay" for kind in lowered):
        raise CapabilityError(
            f"mode {mode!r} cannot be run as asked: {'; '.join(notes)}.",
            hint="Drop engine.strict, or choose a mode that the model can run.",
        )
    as_expected = schedules
    if any(schedule.drift is not None for schedule in schedules):
        as_expected = expected.schedules(mode, layouts, starts, region, walks)
    if full and not any(final):  # the baseline runs both branches of guidance at every step
        as_expected = tuple(replace(schedule, guidance=None) for schedule in as_expected)
    denoise_seconds, seconds = predictions(cost, as_expected)
    return Decisions(
        quality=report,
        start_steps=chosen,
        starts=final,
        mask=mask,
        keep=keep,
        layouts=layouts,
        schedules=schedules,
        predicted_denoise_seconds=denoise_seconds,
        predicted_seconds=seconds,
        notes=(*map(printable, chosen.notes), *notes),
        unproven=unseen,
        full=full and not any(final),
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


def _unproven_notes(unseen: tuple[int, ...], config: PipelineConfig) -> tuple[str, ...]:
    if not unseen:
        return ()
    listed = ", ".join(str(index) for index in unseen)
    return (
        f"targets {listed} are served as rendered: the inputs prove too little of them (mean "
        f"opacity below evidence.min_opacity = {config.evidence.min_opacity:g})",
    )


def _kept_pixels(
    config: PipelineConfig, refined: Bool[Tensor, "T y x"], starts: tuple[int, ...], side: int,
    size: tuple[int, int],
) -> Bool[Tensor, "T H W"]:  # fmt: skip
    """Pixels of refined frames that the plan leaves to the regression model; ``side``: a tile's."""
    height, width = size
    keep = ~pixels_of(refined, side)[:, :height, :width]
    keep[[start == config.num_steps for start in starts]] = False
    return keep


def retried(
    components: Components, decisions: Decisions, missed: list[int], config: PipelineConfig
) -> Decisions:
    """A second plan in which missed targets start at half their step and all others are held."""
    starts, schedules = _planner(components, config).again(
        decisions.layouts, decisions.starts, missed, decisions.start_steps.walks
    )
    return replace(decisions, starts=starts, schedules=schedules, keep=None)


def _planner(components: Components, config: PipelineConfig) -> Planner:
    return Planner(
        num_steps=config.num_steps,
        config=config.plan,
        capabilities=components.capabilities,
        cost=config.cost,
    )

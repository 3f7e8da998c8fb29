"""From the targets of a request to its clips, and back: slots, starts, regions, kept tiles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from sphinx_framework.frame_plan import OWN, FramePlan, Walk
from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig, lower, plan
from sphinx_framework.policy.schedule import Mode, Schedule
from sphinx_framework.types import ClipLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """What turns starts into schedules: the grid, the plan's options, the model and its costs."""

    num_steps: int
    config: PlanConfig
    capabilities: Capabilities
    cost: CostModel

    def schedules(
        self,
        mode: Mode,
        layouts: Sequence[ClipLayout],
        starts: Sequence[int],
        region: Bool[Tensor, "T y x"] | None = None,
        walks: Sequence[Walk] | None = None,
    ) -> tuple[Schedule, ...]:
        """One lowered schedule per clip; inputs and given targets never advance.

        starts, region, walks: per target of the request.
        """
        given = walks or (OWN,) * len(starts)
        plans = [FramePlan(start, walk) for start, walk in zip(starts, given, strict=True)]
        return tuple(self._clip(mode, layout, plans, region) for layout in layouts)

    def again(
        self,
        layouts: Sequence[ClipLayout],
        starts: Sequence[int],
        missed: Sequence[int],
        walks: Sequence[Walk] | None = None,
    ) -> tuple[tuple[int, ...], tuple[Schedule, ...]]:
        """A second plan: missed targets start at half their step, all others are held."""
        later = tuple(
            start // 2 if index in missed else self.num_steps for index, start in enumerate(starts)
        )
        uncapped = self.config.model_copy(update={"max_start": None})  # held targets stay held
        return later, replace(self, config=uncapped).schedules("fine", layouts, later, walks=walks)

    def _clip(
        self,
        mode: Mode,
        layout: ClipLayout,
        plans: Sequence[FramePlan],
        region: Bool[Tensor, "T y x"] | None,
    ) -> Schedule:
        marked = None if region is None else latent_region(layout, region)
        own = latent_plans(layout, plans, self.num_steps)
        planned = plan(
            mode,
            [None if found is None else found.start for found in own],
            self.num_steps,
            self.config,
            marked,
            [OWN if found is None else found.walk for found in own],
        )
        return lower(planned, self.capabilities, self.cost)


def latent_plans(
    layout: ClipLayout, plans: Sequence[FramePlan], num_steps: int
) -> list[FramePlan | None]:
    """Plan of every latent: the dearest of its targets'; ``None`` where it makes none.

    Of equally dear ones the earliest start counts.
    """
    made = layout.made

    def dearest(targets: Sequence[int]) -> FramePlan:
        own = (plans[target] for target in targets)
        return max(own, key=lambda found: (found.cost(num_steps), -found.start))

    return [
        dearest(made[latent]) if latent in made else None for latent in range(layout.num_latents)
    ]


def latent_region(layout: ClipLayout, region: Bool[Tensor, "T y x"]) -> Bool[Tensor, "S y x"]:
    """Marked tiles of every latent: those of any of its targets."""
    marked = torch.zeros(layout.num_latents, *region.shape[1:], dtype=torch.bool)
    for latent, targets in layout.made.items():
        marked[latent] = region[list(targets)].any(0)
    return marked


def target_starts(
    layouts: Sequence[ClipLayout], schedules: Sequence[Schedule], num_targets: int
) -> tuple[int, ...]:
    """Start of every target, as the schedules have it."""
    starts = [0] * num_targets
    for layout, schedule in zip(layouts, schedules, strict=True):
        for latent, targets in layout.made.items():
            for target in targets:
                starts[target] = schedule.starts[latent]
    return tuple(starts)


def refined_tiles(
    layouts: Sequence[ClipLayout], schedules: Sequence[Schedule], region: Bool[Tensor, "T y x"]
) -> Bool[Tensor, "T y x"]:
    """Tiles of every target that count as refined: the marked ones, all where the plan says so.

    Which frames are crowded, and so refined whole, :func:`~sphinx_framework.policy.plan.plan` has
    decided; here it is read.
    """
    refined = region.clone()
    for layout, schedule in zip(layouts, schedules, strict=True):
        if schedule.region is None:
            continue
        for latent, targets in layout.made.items():
            if bool(schedule.region[latent].all()):
                refined[list(targets)] = True
    return refined

"""Which plans calibration measures: a grid of starts and walks, and plain schedules beside it."""

from dataclasses import dataclass

from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import FramePlan, Walk, as_rendered, full_diffusion
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.study.evaluate.settings import Settings, engine_settings
from sphinx_framework.types import QualityReport, Scene, StartSteps

SOLVERS_DIFFER = 3  # steps


def usual_spacing(num_steps: int) -> int:
    """Between start steps where nobody says another: 5, or half of a walk shorter than ten."""
    return max(1, min(5, num_steps // 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How scenes are measured: every plan of a grid, for all targets of a scene alike.

    spacing: between the start steps tried; starts: instead, which. steps: numbers of solver steps
    over what remains; ``None`` among them is the pipeline's own walk. solvers: beside the
    pipeline's own; a multistep solver's first and last moves are of first order, so it is tried
    from three steps on. few_steps: of plain diffusion, beside the grid: what competes with a plan.
    mode: of the refined renders; ``coarse`` is the authors' measurement, ``fine`` and ``selective``
    include what the cache, the guards and the masks do.
    repeats: renders by every plan, each with noise of its own; their means count, so that one
    draw's luck is not taken for a plan's merit.
    """

    spacing: int = 5
    starts: tuple[int, ...] = ()
    steps: tuple[int | None, ...] = (None,)
    few_steps: tuple[int, ...] = ()
    solvers: tuple[str, ...] = ()
    mode: Mode = "coarse"
    seed: int = 0
    repeats: int = 1

    def plans(self, num_steps: int) -> tuple[FramePlan, ...]:
        """Full diffusion, every start by every walk, plain schedules, and the regression frame."""
        starts = self.starts or (0, *range(self.spacing, num_steps, self.spacing))
        walks = [(start, steps) for start in starts for steps in self.steps]
        walks += [(0, steps) for steps in self.few_steps]
        tried = [full_diffusion(num_steps)]
        for start, steps in dict.fromkeys(walks):
            if steps is None:
                tried.append(FramePlan(start))
            elif steps < num_steps - start:
                named = self.solvers if steps >= SOLVERS_DIFFER else ()
                tried += [FramePlan(start, Walk(steps, solver)) for solver in (None, *named)]
        return (*tried, as_rendered(num_steps))

    def check(self, num_steps: int) -> None:
        """Raise :class:`ConfigError` for a start that no walk fits, and for too long schedules."""
        most = num_steps - 1
        for steps in self.few_steps:
            if steps > most:
                raise ConfigError(
                    f"--few-steps {steps}: the pipeline has {num_steps} steps in all.",
                    hint=f"Choose 1..{most}.",
                )
        for start in self.starts or (0,):
            left = num_steps - start
            if all(steps is not None and steps >= left for steps in self.steps):
                asked = ",".join(map(str, self.steps))
                raise ConfigError(
                    f"--steps {asked}: from start {start} only {left} are left.",
                    hint="Choose fewer, or 'every' for every step.",
                )

    def settings(self, engine: Engine) -> Settings:
        """What the scores depend on; step policy (and in mode ``coarse`` the mask) do not count."""
        left_out = ("steps", "mask") if self.mode == "coarse" else ("steps",)
        tiles = self.mode == "selective"
        return {
            **engine_settings(engine, left_out),
            "cost": engine.config.cost.model_dump(mode="json") if tiles else None,
            "plans": [plan.text() for plan in self.plans(engine.config.num_steps)],
            "mode": self.mode,
            "seed": self.seed,
            "repeats": self.repeats,
        }

    def renders(self, num_steps: int) -> int:
        """Renders of one scene."""
        return len(self.plans(num_steps)) * self.repeats


class FixedPlan:
    """A step policy that gives every target one plan."""

    def __init__(self, plan: FramePlan) -> None:
        self.plan = plan

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """The fixed plan, for every target."""
        count = len(scene.targets)
        return StartSteps(steps=(self.plan.start,) * count, walks=(self.plan.walk,) * count)

"""What a pipeline asks of its diffusion model: solvers, branches of guidance, finished frames."""

from collections.abc import Sequence

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import Walk
from sphinx_framework.protocols import ChoosesSolver


def known_solvers(components: Components, num_steps: int) -> tuple[str, ...]:
    """The solvers that plans may name; none where the sampler has no choice."""
    sampler = components.diffusion.sampler(num_steps)
    return sampler.solvers if isinstance(sampler, ChoosesSolver) else ()


def check_solvers(components: Components, config: PipelineConfig, walks: Sequence[Walk]) -> None:
    """Raise :class:`ConfigError` for a plan whose solver the diffusion model's sampler lacks."""
    named = {walk.solver for walk in walks if walk.solver is not None}
    if not named:
        return
    known = known_solvers(components, config.num_steps)
    for solver in sorted(named - set(known)):
        raise ConfigError(
            f"steps {config.pipeline['steps'].use!r} asks for solver {solver!r}, which "
            f"{config.pipeline['diffusion'].use!r} does not have.",
            hint=f"It has {', '.join(known) or 'no choice of solvers'}: calibrate the rules for "
            "this pipeline.",
        )


def check_guidance(components: Components, config: PipelineConfig) -> None:
    """Raise :class:`ConfigError` where a model without guidance branches is to run fewer."""
    if config.plan.guidance.thinned and not getattr(components.diffusion, "guided", False):
        raise ConfigError(
            f"plan.guidance lets steps run one branch of guidance, but "
            f"{config.pipeline['diffusion'].use!r} has no two branches.",
            hint="Leave plan.guidance out.",
        )


def check_finishing(components: Components, config: PipelineConfig) -> None:
    """Raise :class:`ConfigError` where a model that finishes no frames is asked to."""
    if config.composite.finish and not getattr(components.diffusion, "finishing", False):
        raise ConfigError(
            f"composite.finish is set, but {config.pipeline['diffusion'].use!r} does not make "
            "served frames of refined ones and renders.",
            hint="Leave composite.finish out, or use a diffusion model with `finish`.",
        )

"""What a request must be like before anything is computed, and a model's answer afterwards."""

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.policy.schedule import MODES, Mode
from sphinx_framework.types import CoarseViews, Scene

LARGEST_SEED = 2**32 - 1


def admitted(
    scene: Scene,
    components: Components,
    config: PipelineConfig,
    *,
    quality: float | None,
    mode: str | None,
    seed: int,
) -> tuple[Mode, float]:
    """The checked mode and quality: the request's, or the config's where it names none.

    Raises subclasses of ``InputError`` that say what to do.
    """
    quality = config.quality if quality is None else quality
    if not 0 < quality <= 1:
        raise ConfigError(
            f"quality must lie in (0, 1], got {quality:g}.",
            hint="It is the share of full diffusion's quality to keep, for example 0.95.",
        )
    chosen = next((known for known in MODES if known == (mode or config.mode)), None)
    if chosen is None:
        raise ConfigError(f"mode {mode!r} is unknown.", hint=f"Modes: {', '.join(MODES)}.")
    scene.validate()
    if chosen != "regression":
        _check_size(scene, components, config)
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"the seed must lie in 0..{LARGEST_SEED}, got {seed}.")
    if len(scene.targets) > config.max_targets:
        raise ConfigError(
            f"the scene asks for {len(scene.targets)} targets; the limit is {config.max_targets}.",
            hint="Render in parts, or raise max_targets.",
        )
    return chosen, quality


def check_coarse(scene: Scene, coarse: CoarseViews, config: PipelineConfig) -> None:
    """Raise :class:`JobError` when a regression model answered with images of another shape."""
    expected = (len(scene.targets), 3, *scene.targets.image_size)
    if tuple(coarse.images.shape) != expected:
        name = config.pipeline["regression"].use
        raise JobError(
            f"regression {name!r} returned images of shape {tuple(coarse.images.shape)}, "
            f"expected {expected}.",
            hint=f"Run: sphinx-nvs check {name}.",
        )


def _check_size(scene: Scene, components: Components, config: PipelineConfig) -> None:
    """Sides must be whole tiles of the diffusion model."""
    model = components.diffusion
    side = model.latent_factor * model.tile
    height, width = scene.targets.image_size
    if height % side or width % side:
        fits = tuple(max(1, round(s / side)) * side for s in (height, width))
        raise ConfigError(
            f"{config.pipeline['diffusion'].use!r} works on image sides that are "
            f"multiples of {side}; this scene is {height}x{width}.",
            hint=f"Fit it, for example with --set size=[{fits[0]},{fits[1]}].",
        )

"""What a request must be like before anything is computed."""

from dataclasses import replace
from typing import Any

import torch

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.stream import copied
from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.request import RenderRequest
from sphinx_framework.scenes.checks import camera_doubts
from sphinx_framework.types import CoarseViews, QualityReport, Scene

# Of a pipeline's engine, what a request may have of its own.
BUDGETS = ("budget_ms", "budget_joules")


def granted(request: RenderRequest, config: PipelineConfig) -> tuple[PipelineConfig, Mode, float]:
    """The config with the request's budgets in it, the mode and the quality."""
    budgets: dict[str, Any] = {
        name: value for name in BUDGETS if (value := getattr(request, name)) is not None
    }
    if budgets:
        config = config.model_copy(update={"engine": config.engine.model_copy(update=budgets)})
    quality = config.quality if request.quality is None else request.quality
    return config, request.mode or config.mode, quality


def admitted(
    scene: object, components: Components, config: PipelineConfig, mode: Mode, device: torch.device
) -> Scene:
    """The scene at the config's size, copied to the device: the caller's memory stays its own.

    Raises subclasses of ``InputError`` that say what to do.
    """
    if not isinstance(scene, Scene):
        raise SceneError(
            f"a Scene is expected, got {type(scene).__name__}.",
            hint="load_scene(path) reads one; Scene(images=..., inputs=..., ...) makes one.",
        )
    scene.validate()
    # What a loaded scene was told already; one that a host made has not been looked at.
    doubts = camera_doubts(scene.inputs, scene.targets, scene.near, scene.far)
    new = [doubt for doubt in doubts if doubt not in scene.warnings]
    if new:
        scene = replace(scene, warnings=(*scene.warnings, *new))
    if len(scene.targets) > config.max_targets:
        raise ConfigError(
            f"the scene asks for {len(scene.targets)} targets; the limit is {config.max_targets}.",
            hint="Render in parts, or raise max_targets.",
        )
    if config.size is not None and config.size != scene.targets.image_size:
        was, size = scene.targets.image_size, config.size
        near = was if mode == "regression" else _fitting(was, components)
        told = (
            f"the scene is {was[1]}x{was[0]}, and was fitted ({config.fit}) to the pipeline's "
            f"{size[1]}x{size[0]}; to {'keep its own' if near == was else 'come near its own'}, "
            f"set size=[{near[0]},{near[1]}]"
        )
        scene = fit_scene(scene, size, config.fit)
        scene = replace(scene, warnings=(*scene.warnings, told))
    if mode != "regression":
        check_size(scene.targets.image_size, components, config)
    return copied(scene).to(device)


def check_reused(scene: Scene, coarse: CoarseViews | None, report: QualityReport | None) -> None:
    """Raise :class:`SceneError` when results of another scene are handed in for reuse.

    :class:`ConfigError` for what are no results at all.
    """
    for name, given, kind in (("coarse", coarse, CoarseViews), ("report", report, QualityReport)):
        if given is not None and not isinstance(given, kind):
            raise ConfigError(f"{name} must be a {kind.__name__}, got a {type(given).__name__}.")
    expected = (len(scene.targets), 3, *scene.targets.image_size)
    hint = "Reuse only what was prepared for the same scene, targets and size."
    if coarse is not None and tuple(coarse.images.shape) != expected:
        raise SceneError(
            f"the coarse views handed in are {tuple(coarse.images.shape)}, this scene's are "
            f"{expected}.",
            hint=hint,
        )
    if report is not None:
        counts = (len(report.ratio), len(report.input_score))
        if counts != (len(scene.targets), len(scene.inputs)):
            raise SceneError(
                f"the quality report handed in is of {counts[0]} targets and {counts[1]} inputs; "
                f"this scene has {len(scene.targets)} and {len(scene.inputs)}.",
                hint=hint,
            )


def check_size(size: tuple[int, int], components: Components, config: PipelineConfig) -> None:
    """Sides must be whole tiles of the diffusion model: height and width in pixels."""
    height, width = size
    fits = _fitting((height, width), components)
    if fits != (height, width):
        side = _side(components)
        raise ConfigError(
            f"{config.pipeline['diffusion'].use!r} works on image sides that are "
            f"multiples of {side}; {height}x{width} is not.",
            hint=f"Fit it, for example with --set size=[{fits[0]},{fits[1]}].",
        )


def _side(components: Components) -> int:
    """Pixels of a whole tile of the diffusion model."""
    return components.diffusion.latent_factor * components.diffusion.tile


def _fitting(size: tuple[int, int], components: Components) -> tuple[int, int]:
    """The nearest size of whole tiles."""
    side = _side(components)
    height, width = (max(1, round(s / side)) * side for s in size)
    return height, width

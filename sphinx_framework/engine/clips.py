"""The clips of a request: the diffusion model's, or one of all frames where nothing is denoised."""

from typing import Any

from sphinx_framework.errors import InputError
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.protocols import DiffusionModel
from sphinx_framework.types import ClipLayout, Scene, Slot


def clips(diffusion: DiffusionModel[Any, Any], scene: Scene, mode: Mode) -> tuple[ClipLayout, ...]:
    """The model's layouts; a scene that it refuses can be rendered in mode ``regression`` still.

    Raises :class:`InputError` as the model does, in every other mode.
    """
    try:
        return diffusion.layouts(scene)
    except InputError as refusal:
        if mode != "regression":
            raise
        inputs = [Slot(kind="input", index=index) for index in range(len(scene.inputs))]
        targets = [Slot(kind="target", index=index) for index in range(len(scene.targets))]
        note = f"no other mode can render this scene: {refusal.message}"
        return (ClipLayout(slots=(*inputs, *targets), notes=(note,)),)

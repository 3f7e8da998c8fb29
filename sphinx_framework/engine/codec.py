"""Pictures to latents and back, for one latent a frame and for autoencoders that compress time."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.denoising_answers import CheckedDiffusion
from sphinx_framework.protocols import DiffusionModel
from sphinx_framework.types import ClipLayout


def encoded(
    model: DiffusionModel[Any, Any], layout: ClipLayout, frames: Float[Tensor, "S 3 H W"]
) -> Float[Tensor, "T C h w"]:
    """Latents of a clip's frames; as many as the layout says."""
    latents = model.encode(frames)
    if isinstance(model, CheckedDiffusion):
        model.check_count("encode", latents, layout.num_latents, "latents", len(frames))
    return latents


def decoded(
    model: DiffusionModel[Any, Any],
    layout: ClipLayout,
    latents: Float[Tensor, "T C h w"],
    positions: list[int],
) -> Float[Tensor, "f 3 H W"]:
    """Pictures at the given slots.

    Frames that have a latent each are decoded alone; where time is compressed, a picture depends on
    its neighbours, and the clip is decoded whole.
    """
    alone = layout.latents is None
    asked = latents[positions] if alone else latents
    images = model.decode(asked)
    if isinstance(model, CheckedDiffusion):
        count = len(positions) if alone else len(layout)
        model.check_count("decode", images, count, "images", len(asked))
    return images if alone else images[positions]

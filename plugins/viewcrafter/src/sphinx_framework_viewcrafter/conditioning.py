"""What a clip is conditioned on: one image per frame, and which colours it has.

Two kinds of colours leave a point renderer: premultiplied ones fade to black where little was
splatted, straight ones are divided by the opacity. The network was trained on premultiplied renders
(black holes), so those are encoded as the condition. Straight colours, the regression model's
answer, are what the engine encodes to start a frame from: ``clean`` latents are not the condition.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import ClipLayout, CoarseViews, Scene
from sphinx_framework_viewcrafter.blocks import Context
from sphinx_framework_viewcrafter.sampler import DdimSampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Everything of a clip that stays the same from step to step.

    latents: of the conditioning frames, joined to the noisy latents on channels.
    sampler: the grid that step numbers refer to.
    """

    latents: Float[Tensor, "T C h w"]
    context: Context
    sampler: DdimSampler


def premultiplied(coarse: CoarseViews, colours: str) -> Float[Tensor, "T 3 H W"]:
    """Coarse views that fade to black where their opacity is low."""
    if colours == "premultiplied" or coarse.opacity is None:
        return coarse.images
    return coarse.images * coarse.opacity[:, None]


def frame_images(
    scene: Scene, renders: Float[Tensor, "T 3 H W"], layout: ClipLayout
) -> dict[int, Float[Tensor, "3 H W"]]:
    """The image of every frame of the clip, but for given targets, whose latents are known."""
    return {
        position: scene.images[slot.index] if slot.kind == "input" else renders[slot.index]
        for position, slot in enumerate(layout.slots)
        if not slot.given
    }


def joined_context(
    text: Float[Tensor, "g n D"],
    image: Float[Tensor, "g m D"],
    *,
    num_frames: int,
    per_frame: bool,
    name: str,
) -> Context:
    """Text and image tokens of all guidance branches; ``per_frame`` deals out the image tokens."""
    if not per_frame:
        return Context(text=text, image=image, name=name)
    dealt = image.unflatten(1, (num_frames, -1)).flatten(0, 1)
    return Context(text=text, image=dealt, per_frame=True, name=name)


def posterior_noise(shape: torch.Size, seed: int, device: torch.device) -> Tensor:
    """Standard normal noise, one independent draw per frame, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device)

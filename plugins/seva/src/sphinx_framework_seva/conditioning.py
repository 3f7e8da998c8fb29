"""Everything of a request that a step reads, unconditional branch first."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework_seva.sampler import SevaSampler


@dataclass(frozen=True, slots=True, kw_only=True)
class SevaCondition:
    """Conditioning of one clip; both guidance branches, unconditional first.

    context: image-embedding tokens. replace: latents of the input frames and, as last channel,
    where they are. concat: input mask and Pluecker maps, joined to the latents. dense: Pluecker
    maps, the same for both branches. scale: guidance scale per frame. sampler: the grid that step
    numbers refer to.
    """

    context: Float[Tensor, "gT m D"]
    replace: Float[Tensor, "gT C1 h w"]
    concat: Float[Tensor, "gT P1 h w"]
    dense: Float[Tensor, "T P h w"]
    scale: Float[Tensor, " T"]
    sampler: SevaSampler


def assembled(
    *,
    clean: Float[Tensor, "T C h w"],
    sampler: SevaSampler,
    is_input: Bool[Tensor, " T"],
    embeddings: Float[Tensor, "V D"],
    pluecker: Float[Tensor, "T P h w"],
    scale: Float[Tensor, " T"],
) -> SevaCondition:
    """Put the conditioning of a clip together.

    Args:
        clean: latents; only those of input frames are read.
        sampler: the request's noise sampler.
        is_input: frames whose content is given.
        embeddings: of the input views; their mean conditions every frame.
        pluecker: maps of all frames at latent resolution.
        scale: guidance scale per frame.
    """
    frames, _, height, width = clean.shape
    mask = is_input.to(clean).view(-1, 1, 1, 1).expand(-1, 1, height, width)
    replace = torch.cat([clean * mask, mask], dim=1)
    context = embeddings.mean(0).expand(frames, 1, -1)
    pluecker = pluecker.to(clean)
    return SevaCondition(
        context=torch.cat([torch.zeros_like(context), context]),
        replace=torch.cat([torch.zeros_like(replace), replace]),
        concat=torch.cat(
            [
                torch.cat([torch.zeros_like(mask), pluecker], dim=1),
                torch.cat([mask, pluecker], dim=1),
            ]
        ),
        dense=pluecker,
        scale=scale.to(clean),
        sampler=sampler,
    )

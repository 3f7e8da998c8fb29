"""Of everything that is known of targets, what a convolutional network looks at."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.types import ScoreEvidence

# Photos that a target is compared with, the nearest.
PHOTOS = 2


def photo_views(
    evidence: ScoreEvidence,
) -> tuple[Float[Tensor, "V 2 3 H W"], Float[Tensor, "V 2 H W"]]:
    """Every target as its two nearest photos show it, and where they look (1) or not (0).

    A photo that is not there looks nowhere, and shows the render.
    """
    renders = evidence.renders
    if evidence.warps is None or evidence.inside is None:
        warps = renders[:, None].expand(-1, PHOTOS, -1, -1, -1)
        return warps, torch.zeros_like(warps[:, :, 0])
    warps = evidence.warps.transpose(0, 1).to(renders)
    inside = evidence.inside.transpose(0, 1).to(renders)
    warps, inside = warps[:, :PHOTOS], inside[:, :PHOTOS]
    missing = PHOTOS - warps.shape[1]
    if missing:
        warps = torch.cat([warps, renders[:, None].expand(-1, missing, -1, -1, -1)], dim=1)
        inside = functional.pad(inside, (0, 0, 0, 0, 0, missing))
    return warps, inside

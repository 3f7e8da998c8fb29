"""MUSIQ scores of a batch of images of one size."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import JobError
from sphinx_framework.nn.precision import cast_to, network_dtype
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.policy.defects import undamaged_share
from sphinx_framework.policy.plausibility import plausible_scores
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_musiq.config import MusiqConfig
from sphinx_framework_musiq.network import musiq_network


class MusiqQuality:
    """``musiq``: multi-scale image quality transformer (KonIQ-10k weights: about 0 to 100).

    The network looks at the images only: opacity does not enter. What is no picture at all (black,
    one colour, flat blocks, white noise) keeps a fiftieth of its score at most.
    """

    def __init__(self, config: MusiqConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config
        self.device = device
        self.network: Any = musiq_network(config).to(device)

    @torch.no_grad()
    def score(
        self,
        images: Float[Tensor, "V 3 H W"],
        opacity: Float[Tensor, "V H W"] | None = None,
        *,
        evidence: ScoreEvidence | None = None,
    ) -> Float[Tensor, " V"]:
        """Score images, clamped to [0, 1]; larger is better.

        With evidence an image pays for noise, compression, blocks, sharpening and casts that the
        photos and its render do not show; the network does not see them.

        Raises :class:`JobError` when an image holds NaN.
        """
        bad = torch.nonzero(images.isnan().flatten(1).any(dim=1)).flatten().tolist()
        if bad:
            raise JobError(
                f"images {bad} cannot be scored: they hold NaN.",
                hint="Check the stage that made them, and its precision.",
            )
        with cast_to(network_dtype(self.config.dtype, self.device, torch.float16), self.device):
            scores = [
                self.network(chunk.to(self.device).float().clamp(0, 1)).float()
                for chunk in images.split(self.config.batch)
            ]
        # On one colour the network's result is arbitrary or NaN.
        images = images.to(self.device).float()
        plausible = plausible_scores(torch.cat(scores).flatten(), images)
        if evidence is None:
            return plausible
        return plausible * undamaged_share(images, evidence)

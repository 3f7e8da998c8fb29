"""The finisher: served frames of refined ones, their renders and the photos as seen from there.

Refinement, render and the photos seen from the target are estimates of one frame with different
errors: the first is right where little was seen and smooth where the network does not know, the
render has the photos' own texture where it is right, and the photos themselves have it unblended,
with their own light and behind their own occlusions. Pixel by pixel, the finisher says what share
of each is taken, and adds what all of them lack.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.blocks import Hourglass
from sphinx_framework_lite.photo_views import PHOTOS, photo_views

FOLD = 2
WIDTHS = (40, 80, 128)
ADDED = 0.25
# Of what the network changes, the share that is served where the render knows nothing: warps and
# render are guesses there, and the mean of two guesses is nearer to the truth than either.
TRUSTED = 0.5
AROUND = 7  # pixels over which the opacity is averaged for that
# Frames finished at once: bounds the memory of long clips.
BATCH = 8


class Finisher(nn.Module):
    """Convolutional at half the side and below; any even size works.

    Untrained it keeps half of the refined frame and half of the render.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d((10 + 4 * PHOTOS) * FOLD**2, WIDTHS[0], 3, padding=1)
        self.body = Hourglass(WIDTHS, 1)
        self.leave = nn.Conv2d(WIDTHS[0], (4 + PHOTOS) * FOLD**2, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        refined: Float[Tensor, "V 3 H W"],
        render: Float[Tensor, "V 3 H W"],
        opacity: Float[Tensor, "V H W"],
        photos: Float[Tensor, "V 2 3 H W"],
        inside: Float[Tensor, "V 2 H W"],
    ) -> Float[Tensor, "V 3 H W"]:
        """Frames in [0, 1] and what is known of them to finished frames, not clamped."""
        apart = (photos - refined[:, None]) * inside[:, :, None]
        stacked = [refined - 0.5, render - 0.5, 4 * (render - refined), opacity[:, None]]
        stacked += [4 * apart.flatten(1, 2), inside]
        folded = functional.pixel_unshuffle(torch.cat(stacked, dim=1), FOLD)
        hidden = functional.silu(self.body(self.enter(folded)))
        out = functional.pixel_shuffle(self.leave(hidden), FOLD)
        share, shares, added = out.split((1, PHOTOS, 3), dim=1)
        of_photos = (torch.tanh(shares)[:, :, None] * apart).sum(1)
        return refined + torch.sigmoid(share) * (render - refined) + of_photos + ADDED * added


def trusted(
    finished: Float[Tensor, "V 3 H W"],
    refined: Float[Tensor, "V 3 H W"],
    opacity: Float[Tensor, "V H W"],
) -> Float[Tensor, "V 3 H W"]:
    """What is served: all that was finished where the render is certain, half where it is not."""
    margin = (AROUND // 2,) * 4
    padded = functional.pad(opacity[:, None], margin, mode="replicate")
    certain = functional.avg_pool2d(padded, AROUND, 1).clamp(0, 1)
    return (refined + (TRUSTED + (1 - TRUSTED) * certain) * (finished - refined)).clamp(0, 1)


@torch.no_grad()
def finished(
    network: Finisher, refined: Float[Tensor, "V 3 H W"], evidence: ScoreEvidence
) -> Float[Tensor, "V 3 H W"]:
    """Served frames of refined frames of any size, in [0, 1].

    Without a known opacity, renders count as opaque; without known warps, no photo is seen.
    """
    opacity = evidence.opacity
    known = torch.ones_like(refined[:, 0]) if opacity is None else opacity.to(refined)
    given = [refined, evidence.renders, known, *photo_views(evidence)]
    batches = zip(*(even(part.to(refined)).split(BATCH) for part in given), strict=True)
    made = torch.cat([network(*batch) for batch in batches])
    height, width = refined.shape[-2:]
    return trusted(made[..., :height, :width], refined, known)


def even(x: Float[Tensor, "*C H W"]) -> Float[Tensor, "*C a b"]:
    """Images whose sides can be halved: an odd one's last pixels stand there twice."""
    for side in (-1, -2):
        if x.shape[side] % FOLD:
            x = torch.cat([x, x.narrow(side, x.shape[side] - 1, 1)], dim=side)
    return x

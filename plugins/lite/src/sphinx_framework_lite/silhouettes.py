"""Depth that hangs between two surfaces, which is on neither.

At a silhouette an estimate goes from the near surface to the far one through pixels in between: the
network's, and those of its enlargement to the scene's size. Lifted, they float in the air.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.splat import SOLID

WINDOW = 3
# The nearest and the farthest depth around a pixel differ by more than this share, and the pixel is
# farther than half of it from both: then it is on neither.
TEAR = 0.08
# Just too little to hide what lies behind, and to be proof of anything.
HANGING = 0.97 * SOLID


def doubt_hanging(
    depth: Float[Tensor, "N H W"], confidence: Float[Tensor, "N H W"]
) -> Float[Tensor, "N H W"]:
    """Confidence of camera-z ``depth`` in [0, 1], at most ``HANGING`` where it hangs."""
    farthest = functional.max_pool2d(depth[:, None], WINDOW, 1, WINDOW // 2)[:, 0]
    nearest = -functional.max_pool2d(-depth[:, None], WINDOW, 1, WINDOW // 2)[:, 0]
    torn = farthest > nearest * (1 + TEAR)
    between = (farthest > depth * (1 + TEAR / 2)) & (depth > nearest * (1 + TEAR / 2))
    return torch.where(torn & between, confidence.clamp(max=HANGING), confidence)

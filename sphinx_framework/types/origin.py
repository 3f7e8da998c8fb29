"""Where single precision counts from: scenes far from their world's origin are moved to it.

Georeferenced captures stand millions of units from (0, 0, 0), where float32 tells half a unit.
Their mean position is subtracted in double precision and added again to whatever is written.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Origin = tuple[float, float, float]
NO_MOVE: Origin = (0.0, 0.0, 0.0)
# Farther away than this many times their extent, cameras lose more than two of seven digits.
FAR = 32
# Of the distance between the inputs: a rounding of a ten-thousandth may still move a pixel by a
# tenth at a focal length of a thousand; of a hundredth, pictures are wrong.
DOUBTFUL, TOO_COARSE = 1e-4, 1e-2


def origin_of(poses: Sequence[Float[Tensor, "4 4"]], near: float | None = None) -> Origin:
    """What to subtract from the cameras' centres; nothing where they are near enough.

    poses: camera-to-world, float64. near: of the scene, an extent of its own.
    """
    if not len(poses):
        return NO_MOVE
    centres = torch.stack([pose[:3, 3] for pose in poses]).detach().double().cpu()
    middle = centres.mean(dim=0)
    # Numbers that are none are for the check of the cameras, which names the first of them.
    if not torch.isfinite(middle).all():
        return NO_MOVE
    extent = _spread(centres)
    if float(middle.norm()) <= FAR * max(extent, near or 0.0, 1.0 if extent == 0 else 0.0):
        return NO_MOVE
    x, y, z = middle.tolist()
    return (x, y, z)


def moved(pose: Float[Tensor, "*V 4 4"], origin: Origin, sign: int) -> Float[Tensor, "*V 4 4"]:
    """Poses in float64 with the origin added (1) or subtracted (-1)."""
    if origin == NO_MOVE:
        return pose
    shifted = pose.double().clone()
    shifted[..., :3, 3] += sign * shifted.new_tensor(origin)
    return shifted


def rounding(
    inputs: Float[Tensor, "N 4 4"], targets: Float[Tensor, "T 4 4"], near: float | None = None
) -> tuple[float, float, float]:
    """How coarsely the cameras' numbers place them: ``(rounding, extent, farthest)``.

    rounding: the step of their own precision where they stand, the coarser of the two sets.
    extent: how far the inputs are from their middle; of one input, all cameras; near or 1 where
        they stand at one point, as far as the numbers tell.
    farthest: the largest coordinate of a centre.
    """
    step, farthest = 0.0, 0.0
    for poses in (inputs, targets):
        if len(poses):
            far = float(poses[:, :3, 3].detach().abs().max())
            step, farthest = max(step, far * torch.finfo(poses.dtype).eps), max(farthest, far)
    extending = (inputs, targets) if len(inputs) == 1 else (inputs,)
    extent = _spread(torch.cat([p[:, :3, 3].detach().double().cpu() for p in extending]))
    return step, extent if extent > 4 * step else near or 1.0, farthest


def _spread(centres: Float[Tensor, "V 3"]) -> float:
    """The largest distance from the middle of some points."""
    if not len(centres):
        return 0.0
    return float((centres - centres.mean(dim=0)).norm(dim=1).max())

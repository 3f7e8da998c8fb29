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
_FAR = 32


def origin_of(poses: Sequence[Float[Tensor, "4 4"]], near: float | None = None) -> Origin:
    """What to subtract from the cameras' centres; nothing where they are near enough.

    poses: camera-to-world, float64. near: of the scene, an extent of its own.
    """
    if not poses:
        return NO_MOVE
    centres = torch.stack([pose[:3, 3] for pose in poses]).double()
    middle = centres.mean(dim=0)
    extent = float((centres - middle).norm(dim=1).max())
    if float(middle.norm()) <= _FAR * max(extent, near or 0.0, 1.0 if extent == 0 else 0.0):
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

"""The focal length of a camera from a pointmap in its own frame."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

WEISZFELD_ITERATIONS = 10
SHORTEST_RESIDUAL = 1e-8
REFERENCE_FIELD_OF_VIEW = math.radians(60)


def focal_from_points(
    points: Float[Tensor, "H W 3"],
    centred_pixels: Float[Tensor, "H W 2"],
    *,
    mode: Literal["weiszfeld", "median"] = "weiszfeld",
) -> float:
    """Focal length in pixels that best explains where a pointmap's points are seen.

    centred_pixels: image positions minus the principal point.
    mode: weiszfeld: the L1 fit of ``f (x, y)/z`` to the positions, by reweighted least squares;
        median: the middle of all votes ``u z/x`` and ``v z/y``.
    """
    if mode == "weiszfeld":
        return _weiszfeld(points, centred_pixels)
    votes = centred_pixels * points[..., 2:] / points[..., :2]
    return float(torch.nanmedian(votes))


def image_focals(
    points: Float[Tensor, "N H W 3"],
    grid: Float[Tensor, "H W 2"],
    principal_points: Float[Tensor, "N 2"],
    bounds: tuple[float, float] | None,
) -> tuple[Float[Tensor, "N 2"], tuple[str, ...]]:
    """Focal lengths, equal along x and y, of images whose own pointmaps are given, and warnings.

    bounds: in units of the focal length of a 60 degree view along the longer side; that view is
    assumed where a pointmap makes no sense.
    """
    unit = max(points.shape[1:3]) / (2 * math.tan(REFERENCE_FIELD_OF_VIEW / 2))
    focals, warnings = [], []
    for image, (own, centre) in enumerate(zip(points, principal_points, strict=True)):
        focal = focal_from_points(own, grid - centre)
        if not (math.isfinite(focal) and focal > 0):
            warnings.append(
                f"the pointmap of photo {image} fits no camera; a 60 degree view is assumed"
            )
            focal = unit
        if bounds is not None:
            focal = min(max(focal, bounds[0] * unit), bounds[1] * unit)
        focals.append(focal)
    return torch.tensor(focals).to(points)[:, None].expand(-1, 2), tuple(warnings)


def _weiszfeld(points: Tensor, centred_pixels: Tensor) -> float:
    seen = centred_pixels.reshape(-1, 2)
    flat = points.reshape(-1, 3)
    rays = torch.nan_to_num(flat[:, :2] / flat[:, 2:], nan=0.0, posinf=0.0, neginf=0.0)
    along, length = (rays * seen).sum(-1), rays.square().sum(-1)
    focal = along.mean() / length.mean()
    for _ in range(WEISZFELD_ITERATIONS):
        residual = torch.linalg.vector_norm(seen - focal * rays, dim=-1)
        weight = 1 / residual.clamp(min=SHORTEST_RESIDUAL)
        focal = (weight * along).mean() / (weight * length).mean()
    return float(focal)

"""Cost volume of a plane sweep, as bilinear samples of all-pairs correlations.

Bilinear sampling is linear in the features, so correlating with a warped feature map equals
sampling the scalar map of correlations with the unwarped one: one matrix product per pair of views
and a one-channel sampling, instead of a warped copy of the features per depth. On a CPU only the
correlations that are sampled are computed (:mod:`.cpu_sweep`).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SMALLEST_Z = 1e-3
CHUNK_BYTES = 64 * 2**20
# Beyond [-1, 1] by more than a cell everything samples zero; keeps coordinates in integer range.
OUTSIDE = 4.0


def depth_candidates(
    near: Float[Tensor, "b v"], far: Float[Tensor, "b v"], count: int
) -> Float[Tensor, "b v D"]:
    """Inverse depths of the swept planes, evenly spaced from ``1/far`` (index 0) to ``1/near``."""
    steps = torch.linspace(0, 1, count, device=near.device, dtype=near.dtype)
    return (1 / far)[..., None] + steps * (1 / near - 1 / far)[..., None]


def plane_sweep(
    features: Float[Tensor, "b v C h w"],
    world_from_camera: Float[Tensor, "b v 4 4"],
    intrinsics: Float[Tensor, "b v 3 3"],
    inverse_depths: Float[Tensor, "b v D"],
    chunk_bytes: int = CHUNK_BYTES,
) -> Float[Tensor, "b v D h w"]:
    """Correlate every view with its neighbours at every candidate depth, averaged over them.

    intrinsics: normalised by the image size. The reference view's are used for both views, pixels
    count from 0 without the half-pixel offset, and z is clamped, all as the reference does.
    chunk_bytes: bound on the rows of the correlation matrix that exist at once (not on a CPU).
    """
    batch, views, channels, height, width = features.shape
    tokens = features.float().flatten(3) / math.sqrt(math.sqrt(channels))
    pose = world_from_camera.double()
    scale = pose.new_tensor([width, height, 1])[:, None]
    pixel_intrinsics = intrinsics.double() * scale
    volume = tokens.new_zeros(batch, views, height * width, inverse_depths.shape[-1])
    for b in range(batch):
        for i in range(views):
            k = pixel_intrinsics[b, i]
            for j in (other % views for other in range(i + 1, i + views)):
                relative = torch.linalg.solve(pose[b, j], pose[b, i])
                turn = (k @ relative[:3, :3] @ torch.linalg.inv(k)).float()
                shift = (k @ relative[:3, 3]).float()
                pair = tokens[b, i], tokens[b, j]
                planes = inverse_depths[b, i]
                if features.device.type == "cpu":
                    from sphinx_framework_mvsplat.cpu_sweep import swept  # numba takes a second

                    found = swept(pair[0].T, pair[1].T, (turn, shift), planes, (height, width))
                else:
                    found = all_pairs(*pair, (turn, shift), planes, (height, width), chunk_bytes)
                volume[b, i] += found
    averaged = volume / (views - 1)
    return averaged.transpose(2, 3).unflatten(3, (height, width))


def all_pairs(
    reference: Float[Tensor, "C p"],
    source: Float[Tensor, "C p"],
    motion: tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]],
    inverse_depths: Float[Tensor, " D"],
    size: tuple[int, int],
    chunk_bytes: int = CHUNK_BYTES,
) -> Float[Tensor, "p D"]:
    """Correlations of one pair of views, sampled from all products, some rows at a time.

    motion: pixels ``(x, y, 1)`` to rays of the source in pixels, and the shift at depth 1.
    """
    turn, shift = motion
    height, width = size
    ys, xs = torch.meshgrid(
        torch.arange(height, device=source.device),
        torch.arange(width, device=source.device),
        indexing="ij",
    )
    pixels = torch.stack([xs, ys, torch.ones_like(xs)]).flatten(1).float()
    found = []
    rows = max(1, chunk_bytes // (4 * height * width))
    for start in range(0, height * width, rows):
        part = slice(start, start + rows)
        grid = _source_positions((turn @ pixels[:, part]).T, shift, inverse_depths, size)
        pairs = reference[:, part].T @ source
        sampled = functional.grid_sample(
            pairs.view(-1, 1, height, width), grid[:, None], align_corners=True
        )
        found.append(sampled[:, 0, 0])
    return torch.cat(found)


def _source_positions(
    rays: Float[Tensor, "p 3"],
    shift: Float[Tensor, "3"],
    inverse_depths: Float[Tensor, " D"],
    size: tuple[int, int],
) -> Float[Tensor, "p D 2"]:
    """Where the points along reference rays fall in the source view, in sampling coordinates."""
    points = rays[:, None] / inverse_depths[:, None] + shift
    projected = points[..., :2] / points[..., 2:].clamp(min=SMALLEST_Z)
    extent = projected.new_tensor([size[1] - 1, size[0] - 1])
    return (2 * projected / extent - 1).clamp(-OUTSIDE, OUTSIDE)

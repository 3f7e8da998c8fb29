"""What photographs of a capture have that rendered frames have not: errors of cameras and of light.

Draws for whole batches of pairs, one generator: sides between the trained ones, small errors of the
second camera, grain, softness and exposure of each photo, and depth ranges that nobody knew.
"""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.geometry import FAR_BASELINES, NEAR_BASELINES

SIDES = (96, 112, 128, 144)
ROTATION_PIXELS = 0.15  # deviation of the second camera, in pixels of the image
JPEG = (55, 95)


def resized(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Pairs of 192 pixels at one of ``SIDES``, half of them cut to 4:3 or 3:4."""
    before = batch["images"].shape[-1]
    side = SIDES[int(torch.randint(len(SIDES), (), generator=generator))]
    height = width = side
    kind = float(torch.rand((), generator=generator))
    if kind < 0.5:
        shorter = round(side * 0.75 / 16) * 16
        height, width = (shorter, side) if kind < 0.3 else (side, shorter)
    images = functional.interpolate(
        batch["images"].flatten(0, 1), (side, side), mode="bilinear", antialias=True
    ).unflatten(0, batch["images"].shape[:2])
    depth = functional.interpolate(batch["depth"], (side, side), mode="nearest-exact")
    k = batch["intrinsics"] * torch.tensor([[side / before], [side / before], [1.0]])
    top, left = (side - height) // 2, (side - width) // 2
    k[..., 0, 2] -= left
    k[..., 1, 2] -= top
    window = (..., slice(top, top + height), slice(left, left + width))
    return {**batch, "images": images[window], "depth": depth[window], "intrinsics": k}


def with_unknown_range(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The depth range that the product searches where a scene states none."""
    apart = (batch["poses"][:, 0, :3, 3] - batch["poses"][:, 1, :3, 3]).norm(dim=-1)
    return {
        **batch,
        "near": torch.minimum(batch["near"], NEAR_BASELINES * apart),
        "far": torch.maximum(batch["far"], FAR_BASELINES * apart),
    }


def with_camera_errors(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The second camera turned by a fraction of a pixel: bundle adjustment is never exact."""
    focal = batch["intrinsics"][:, 1, 0, 0]
    angle = torch.randn(len(focal), 3, generator=generator) * ROTATION_PIXELS / focal[:, None]
    turn = torch.zeros(len(focal), 3, 3)
    turn[:, 0, 1], turn[:, 0, 2], turn[:, 1, 2] = -angle[:, 2], angle[:, 1], -angle[:, 0]
    poses = batch["poses"].clone()
    poses[:, 1, :3, :3] = poses[:, 1, :3, :3] @ torch.linalg.matrix_exp(turn - turn.mT)
    return {**batch, "poses": poses}


def photographed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Exposure and tint of each photo, softness, grain and JPEG of a part of them."""
    count, views = images.shape[:2]
    shape = (count, views, 1, 1, 1)
    images = images * (0.9 + 0.2 * torch.rand(shape, generator=generator))
    gamma = 0.92 + 0.16 * torch.rand(shape, generator=generator)
    images = images.clamp(1e-4, 1) ** gamma
    grain = 0.025 * torch.rand(shape, generator=generator) ** 2
    images = (images + torch.randn(images.shape, generator=generator) * grain).clamp(0, 1)
    kinds = torch.rand(count, views, 3, generator=generator).numpy()
    made = images.permute(0, 1, 3, 4, 2).numpy().copy()
    for row in range(count):
        for view in range(views):
            soft, coded, much = kinds[row, view]
            picture = made[row, view]
            if soft < 0.3:
                picture = cv2.GaussianBlur(picture, (0, 0), 0.3 + 0.5 * much)
            if coded < 0.3:
                quality = int(JPEG[0] + (JPEG[1] - JPEG[0]) * much)
                picture = _coded(picture, quality)
            made[row, view] = picture
    return torch.from_numpy(made).permute(0, 1, 4, 2, 3).contiguous()


def _coded(picture: np.ndarray, quality: int) -> np.ndarray:
    """Through JPEG and back."""
    bytes_ = np.round(picture * 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: np.ndarray = cv2.imdecode(coded, cv2.IMREAD_COLOR).astype(np.float32) / 255
    return decoded

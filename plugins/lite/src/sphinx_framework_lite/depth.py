"""Learned multi-view depth: a plane sweep at a quarter of the size, refined at half of it.

Hypotheses are even in inverse depth between ``near`` and ``far``. Each view is matched against its
neighbours; all views of a scene are predicted together.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_lite.blocks import Hourglass, ResidualBlock, convex_upsample
from sphinx_framework_lite.geometry import pixel_grid

PLANES = 48
GROUPS = 4
REFINEMENT = torch.arange(-4.0, 5.0)
MULTIPLE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthPrediction:
    """Per view; ``place`` is normalised inverse depth: 0 at far, 1 at near.

    confidence_logit: of the place being right to within a plane. coarse_logits: over the planes
    (far to near), a quarter of the size. half_place: before the last upsampling.
    """

    place: Float[Tensor, "B V H W"]
    confidence_logit: Float[Tensor, "B V H W"]
    coarse_logits: Float[Tensor, "B V D h w"]
    coarse_place: Float[Tensor, "B V h w"]
    half_place: Float[Tensor, "B V i j"]


def place_to_depth(place: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Normalised inverse depth to camera-z; ``near`` and ``far`` broadcast against it."""
    return 1 / (1 / far + place * (1 / near - 1 / far))


def depth_to_place(depth: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Camera-z to normalised inverse depth."""
    return (1 / depth - 1 / far) / (1 / near - 1 / far)


def _warped(
    features: Float[Tensor, "B C h w"],
    place: Float[Tensor, "B P i j"],
    projection: Float[Tensor, "B 3 4"],
    near: Tensor,
    far: Tensor,
) -> tuple[Tensor, Tensor]:
    """Sample a neighbour where it sees the reference's pixels at each hypothesis.

    projection: neighbour pixels (of the feature size) from reference pixels and inverse depth.
    Returns ``[B, C, P, i, j]`` features and ``[B, P, i, j]`` visibility inside the image.
    """
    batch, planes, height, width = place.shape
    inverse = 1 / far + place * (1 / near - 1 / far)
    grid = pixel_grid(height, width, place)
    ray = projection[:, :, :3] @ grid
    point = ray[:, :, None] + projection[:, :, 3, None, None] * inverse.reshape(
        batch, 1, planes, height * width
    )
    z = point[:, 2]
    safe = z.clamp(min=1e-4)
    size = place.new_tensor([features.shape[-1], features.shape[-2]])
    x, y = point[:, 0] / safe / size[0] * 2 - 1, point[:, 1] / safe / size[1] * 2 - 1
    visible = ((x.abs() < 1) & (y.abs() < 1) & (z > 1e-4)).to(place.dtype)
    where = torch.stack([x, y], dim=-1).clamp(-2, 2)
    sampled = functional.grid_sample(
        features.float(), where, align_corners=False, padding_mode="border"
    )
    shape = (batch, -1, planes, height, width)
    return sampled.reshape(shape), visible.reshape(batch, planes, height, width)


def _matching(reference: Tensor, sampled: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Group-wise correlation summed over visible neighbours, ``[B, G, P, i, j]``, and a count."""
    batch, channels, planes, height, width = sampled.shape
    product = reference.float()[:, :, None] * sampled
    product = product.reshape(batch, GROUPS, channels // GROUPS, planes, height, width).mean(2)
    return product * visible[:, None], visible


class _Features(nn.Module):
    """Image features at half and at a quarter of the size."""

    def __init__(self, half: int, quarter: int, matched: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12, half, 3, padding=1)
        self.fine = nn.Sequential(ResidualBlock(half), ResidualBlock(half))
        self.shrink = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.coarse = Hourglass((quarter, 2 * quarter), 1)
        self.half_out = nn.Conv2d(half, 16, 1)
        self.quarter_out = nn.Conv2d(quarter, matched, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.fine(self.stem(functional.pixel_unshuffle(images * 2 - 1, 2)))
        quarter = self.coarse(self.shrink(half))
        return half, self.half_out(half), self.quarter_out(quarter)


class DepthNetwork(nn.Module):
    """Predicts every view's depth and where it is right."""

    def __init__(self, half: int = 32, quarter: int = 64, matched: int = 32) -> None:
        super().__init__()
        self.features = _Features(half, quarter, matched)
        wide = 128
        self.coarse_in = nn.Conv2d(GROUPS * PLANES + PLANES + matched, wide, 3, padding=1)
        self.coarse = Hourglass((wide, wide, wide), 1)
        self.coarse_out = nn.Conv2d(wide, PLANES, 1)
        self.to_half = nn.Conv2d(wide + matched, 36, 3, padding=1)
        fine = 48
        count = len(REFINEMENT)
        self.context = nn.Conv2d(wide, fine, 1)
        self.fine_in = nn.Conv2d((GROUPS + 1) * count + half + 2, fine, 3, padding=1)
        self.fine = Hourglass((fine, 2 * fine), 1)
        self.fine_out = nn.Conv2d(fine, count + 1, 1)
        self.to_full = nn.Conv2d(fine + 12, 36, 3, padding=1)
        nn.init.zeros_(self.fine_out.weight)

    def forward(
        self,
        images: Float[Tensor, "B V 3 H W"],
        world_from_camera: Float[Tensor, "B V 4 4"],
        intrinsics: Float[Tensor, "B V 3 3"],
        near: Float[Tensor, " B"],
        far: Float[Tensor, " B"],
        neighbours: list[list[int]],
    ) -> DepthPrediction:
        """Predict all views; H and W are multiples of 16, intrinsics in their pixels."""
        batch, views = images.shape[:2]
        flat = images.flatten(0, 1)
        raw, half, quarter = (f.unflatten(0, (batch, views)) for f in self.features(flat))
        cameras = (world_from_camera, intrinsics)
        n = near.repeat_interleave(views)[:, None, None, None]
        f = far.repeat_interleave(views)[:, None, None, None]
        height, width = quarter.shape[-2:]
        planes = torch.linspace(0, 1, PLANES, device=images.device)
        place = planes[None, :, None, None].expand(batch * views, -1, height, width)
        match, seen = self._sweep(quarter, place, cameras, n, f, neighbours, 4)
        deep = self.coarse_in(torch.cat([match.flatten(1, 2), seen, quarter.flatten(0, 1)], 1))
        deep = self.coarse(deep)
        logits = self.coarse_out(deep).float()
        coarse = _local_mean(logits, planes)
        up = self.to_half(torch.cat([deep, quarter.flatten(0, 1)], 1))
        guess = convex_upsample(coarse[:, None], up)
        step = REFINEMENT.to(images.device)[None, :, None, None] * (0.5 / (PLANES - 1))
        place = (guess + step).clamp(-0.05, 1.2)
        match, seen = self._sweep(half, place.detach(), cameras, n, f, neighbours, 2)
        context = functional.interpolate(self.context(deep), scale_factor=2.0, mode="nearest")
        spread = (guess - functional.avg_pool2d(guess, 3, 1, 1)) * 8
        fine = torch.cat([match.flatten(1, 2), seen, raw.flatten(0, 1), guess, spread], 1)
        fine = self.fine(self.fine_in(fine) + context)
        out = self.fine_out(fine).float()
        weights = torch.softmax(out[:, :-1], dim=1)
        refined = guess + (weights * step).sum(1, keepdim=True)
        both = torch.cat([refined, out[:, -1:]], 1)
        shuffled = functional.pixel_unshuffle(flat * 2 - 1, 2)
        full = convex_upsample(both, self.to_full(torch.cat([fine, shuffled], 1)))
        full = full.unflatten(0, (batch, views))
        return DepthPrediction(
            place=full[:, :, 0],
            confidence_logit=full[:, :, 1],
            coarse_logits=logits.unflatten(0, (batch, views)),
            coarse_place=coarse.unflatten(0, (batch, views)),
            half_place=refined[:, 0].unflatten(0, (batch, views)),
        )

    def _sweep(
        self,
        features: Float[Tensor, "B V C h w"],
        place: Float[Tensor, "BV P h w"],
        cameras: tuple[Tensor, Tensor],
        near: Tensor,
        far: Tensor,
        neighbours: list[list[int]],
        shrink: int,
    ) -> tuple[Tensor, Tensor]:
        """Match every view against its neighbours: correlations and visibility, averaged."""
        batch, views = features.shape[:2]
        poses, intrinsics = cameras
        scale = intrinsics.new_tensor([1 / shrink, 1 / shrink, 1.0])
        k = intrinsics * scale[:, None]
        cells = place.unflatten(0, (batch, views))
        total, count = [], []
        for view, around in enumerate(neighbours):
            matched: Tensor | None = None
            seen: Tensor | None = None
            for other in around:
                relative = torch.linalg.inv(poses[:, other]) @ poses[:, view]
                unproject = torch.linalg.inv(k[:, view])
                rotation = k[:, other] @ relative[:, :3, :3] @ unproject
                shift = k[:, other] @ relative[:, :3, 3:]
                projection = torch.cat([rotation, shift], dim=2)
                sampled, visible = _warped(
                    features[:, other], cells[:, view], projection, near[::views], far[::views]
                )
                product, mask = _matching(features[:, view], sampled, visible)
                matched = product if matched is None else matched + product
                seen = mask if seen is None else seen + mask
            if matched is None or seen is None:
                raise ValueError("every view needs at least one neighbour")
            total.append(matched / seen.clamp(min=1)[:, None])
            count.append(seen / len(around))
        return (
            torch.stack(total, dim=1).flatten(0, 1),
            torch.stack(count, dim=1).flatten(0, 1),
        )


def _local_mean(logits: Float[Tensor, "B D h w"], planes: Tensor) -> Float[Tensor, "B h w"]:
    """Mean place around the strongest plane: sub-plane precision without mixing two surfaces."""
    mass = torch.softmax(logits, dim=1)
    peak = functional.avg_pool1d(mass.detach().permute(0, 2, 3, 1).flatten(0, 2)[:, None], 3, 1, 1)[
        :, 0
    ].argmax(dim=1)
    peak = peak.reshape(logits.shape[0], 1, *logits.shape[-2:])
    index = torch.arange(PLANES, device=logits.device)[None, :, None, None]
    window = mass * ((index - peak).abs() <= 2)
    window = window / window.sum(1, keepdim=True).clamp(min=1e-6)
    return (window * planes[None, :, None, None]).sum(1)

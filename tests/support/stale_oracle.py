"""What partial steps mean, by brute force: every call computes whole maps of every frame.

At each call the inactive cells are overwritten by what they were at the last full pass (and active
cells are remembered in turn), then the plain torch operation runs on everything. No index lists,
no halos, no cache slots; rows of inactive frames are computed and mean nothing.
"""

from collections.abc import Callable
from itertools import product
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.protocols import Sight, Tokens


def limited(logits: Tensor, sight: Sight, reach: str) -> Tensor:
    """Logits ``[g t n a ...]`` with bias, mask and order of frames, one pair at a time."""
    logits = logits.clone()
    branches, frames, tokens, heads = logits.shape[:4]
    for g, t, n, a in product(range(branches), range(frames), range(tokens), range(heads)):
        row = logits[g, t, n, a]  # [m], [s] or [s m]
        if sight.bias is not None:
            size = len(sight.bias)
            b = {1: 0, branches: g}.get(size, g * frames + t)
            query = {"frame": n, "frames": t, "clip": t * tokens + n}[reach]
            bias = sight.bias[b, a % sight.bias.shape[1], query].view(row.shape)
            row = row.masked_fill(~bias, -torch.inf) if bias.dtype is torch.bool else row + bias
        if sight.causal:
            row[t + 1 :] = -torch.inf
        logits[g, t, n, a] = row
    return logits


class StaleOracle:
    """An executor that holds every frame in every step.

    active: ``None`` in a full pass, else bool ``[T y x]``: 1x1 grids stand for whole frames.
    """

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames
        self.active: Tensor | None = None
        self.memory: dict[str, Tensor] = {}

    def full(self) -> "StaleOracle":
        self.active = None
        return self

    def frames(self, frames: list[int]) -> "StaleOracle":
        self.active = torch.zeros(self.num_frames, 1, 1, dtype=torch.bool)
        self.active[frames] = True
        return self

    def tiles(self, tiles: Tensor) -> "StaleOracle":
        self.active = tiles
        return self

    def rows(self, per_frame: Tensor) -> Tensor:
        return per_frame

    def maps(self, per_frame: Tensor) -> Tensor:
        return per_frame

    def constant(self, site: str, make: Callable[[], Tensor]) -> Tensor:
        return make()

    def conv2d(self, site: str, conv: nn.Conv2d, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(conv, self._merged(site, x))

    def group_norm(self, site: str, norm: nn.GroupNorm, x: Tensor, reach: str = "frame") -> Tensor:
        by_tiles = self.active is not None and self.active[0].numel() > 1
        if reach == "frame":
            judged = self.memory[site] if by_tiles else x
            if self.active is None:
                self.memory[site] = x
            groups = judged.unflatten(1, (norm.num_groups, -1)).flatten(2)
            mean, variance = groups.mean(2), groups.var(2, correction=0)
        else:
            judged = self.memory[site] if by_tiles else self._merged(site, x)
            groups = judged.unflatten(0, (-1, self.num_frames))
            groups = groups.unflatten(2, (norm.num_groups, -1)).transpose(1, 2).flatten(3)
            groups = groups.flatten(2)  # [g, groups, T * channels * cells]
            mean, variance = groups.mean(2), groups.var(2, correction=0)
            mean = mean.repeat_interleave(self.num_frames, 0)
            variance = variance.repeat_interleave(self.num_frames, 0)
        each = norm.num_channels // norm.num_groups
        mean = mean.repeat_interleave(each, 1)[:, :, None, None]
        variance = variance.repeat_interleave(each, 1)[:, :, None, None]
        y = (x - mean) / (variance + norm.eps).sqrt()
        return y * norm.weight[:, None, None] + norm.bias[:, None, None]

    def attention(
        self,
        site: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        heads: int,
        reach: str,
        sight: Sight | None = None,
    ) -> Tensor:
        key, value = self._merged(f"{site}.k", key), self._merged(f"{site}.v", value)
        q, k, v = (
            t.unflatten(0, (-1, self.num_frames)).unflatten(3, (heads, -1))
            for t in (query, key, value)
        )
        pairs = {  # g branch, t and s frames, n and m tokens, a head, d channel
            "frame": ("gtnad,gtmad->gtnam", "gtnam,gtmad->gtnad"),
            "frames": ("gtnad,gsnad->gtnas", "gtnas,gsnad->gtnad"),
            "clip": ("gtnad,gsmad->gtnasm", "gtnasm,gsmad->gtnad"),
        }
        like, mix = pairs[reach]
        logits = torch.einsum(like, q, k) / q.shape[-1] ** 0.5
        if sight is None:
            weights = logits.flatten(4).softmax(-1).view(logits.shape)
            return torch.einsum(mix, weights, v).flatten(3).flatten(0, 1)
        logits = limited(logits, sight, reach)
        wide, keys = logits.flatten(4), logits[0, 0, 0, 0].numel()
        if sight.key is not None:
            own = sight.key.unflatten(2, (heads, -1))
            wide = torch.cat(
                [wide, torch.einsum("gtnad,gmad->gtnam", q, own) / q.shape[-1] ** 0.5], 4
            )
        weights = wide.softmax(-1)
        mixed = torch.einsum(mix, weights[..., :keys].view(logits.shape), v)
        if sight.value is not None:
            own = sight.value.unflatten(2, (heads, -1))
            mixed = mixed + torch.einsum("gtnam,gmad->gtnad", weights[..., keys:], own)
        return mixed.flatten(3).flatten(0, 1)

    def joint_attention(
        self, site: str, own: Tokens, outside: Tokens, heads: int
    ) -> tuple[Tensor, Tensor]:
        sight = Sight(key=outside.key, value=outside.value)
        mixed = self.attention(site, own.query, own.key, own.value, heads, "clip", sight)
        k, v = (
            torch.cat(
                [self.memory[site + s].unflatten(0, (-1, self.num_frames)).flatten(1, 2), t], 1
            )
            for s, t in ((".k", outside.key), (".v", outside.value))
        )
        q, k, v = (t.unflatten(2, (heads, -1)) for t in (outside.query, k, v))
        weights = (torch.einsum("gnad,gmad->ganm", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        return mixed, torch.einsum("ganm,gmad->gnad", weights, v).flatten(2)

    def frame_conv(self, site: str, conv: nn.Conv3d, x: Tensor) -> Tensor:
        clip = self._merged(site, x).unflatten(0, (-1, self.num_frames)).transpose(1, 2)
        taps = conv.kernel_size[0]
        y = F.conv3d(clip, conv.weight, conv.bias, padding=(taps // 2, 0, 0))
        return y.transpose(1, 2).flatten(0, 1)

    def across_frames(self, site: str, x: Tensor) -> Tensor:
        clips = self._merged(site, x).unflatten(0, (-1, self.num_frames))
        return torch.stack([clips] * self.num_frames, 1).flatten(0, 1)

    def _merged(self, site: str, x: Tensor) -> Tensor:
        if self.active is None:
            self.memory[site] = x
            return x
        merged = torch.where(self._cells(x), x, self.memory[site])
        self.memory[site] = merged
        return merged

    def _cells(self, x: Tensor) -> Tensor:
        """Active cells of maps ``[gT C h w]`` or tokens ``[gT n D]``, broadcastable to them."""
        assert self.active is not None
        frames, rows, columns = self.active.shape
        branches = x.shape[0] // frames
        if rows * columns == 1:
            return self.active.view(frames, *[1] * (x.ndim - 1)).repeat(
                branches, *[1] * (x.ndim - 1)
            )
        if x.ndim == 4:
            side_y, side_x = x.shape[2] // rows, x.shape[3] // columns
        else:
            side_y = side_x = isqrt(x.shape[1] // (rows * columns))
        cells = self.active.repeat_interleave(side_y, 1).repeat_interleave(side_x, 2)
        cells = cells.repeat(branches, 1, 1)
        return cells[:, None] if x.ndim == 4 else cells.flatten(1)[:, :, None]

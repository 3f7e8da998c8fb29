"""A full pass that also fills the latent cache with what later partial steps will look at."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.attention import by_hand, in_cells
from sphinx_framework.executors.dense import DenseExecutor, zero_border
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.statistics import (
    affine,
    clip_statistics,
    group_moments,
    normalised,
)
from sphinx_framework.protocols import Reach, Sight, Tokens


class RecordExecutor(DenseExecutor):
    """Computes like the dense executor; ``tiles`` also records what block-sparse steps need."""

    def __init__(
        self,
        num_frames: int,
        cache: LatentCache,
        *,
        tiles: bool = False,
        constants: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__(num_frames, constants)
        self.cache = cache
        self.tiles = tiles

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        if not self.tiles:
            return super().conv2d(site, conv, x)
        above, left = zero_border(conv)
        # Channels last and with its zero border: windows with halo are plain row gathers later.
        canvas = F.pad(x.permute(0, 2, 3, 1), (0, 0, left, left, above, above))
        self.cache.put(f"{site}.input", canvas)
        return super().conv2d(site, conv, x)

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        if reach == "frame":
            if not self.tiles:
                return super().group_norm(site, norm, x, reach)
            weight, bias = affine(norm, x.device)
            y, mean, inverse = torch.native_group_norm(
                x.float().contiguous(),
                weight,
                bias,
                x.shape[0],
                x.shape[1],
                x.shape[2] * x.shape[3],
                norm.num_groups,
                norm.eps,
            )
            self.cache.put(f"{site}.statistics", torch.stack([mean, inverse], dim=-1))
            return y.to(x.dtype)
        wide = x.float()
        moments = group_moments(wide, norm.num_groups)
        self.cache.put(f"{site}.moments", moments)
        mean, inverse = clip_statistics(moments, self.num_frames, norm.eps)
        return normalised(wide, norm, mean, inverse).to(x.dtype)

    def attention(
        self,
        site: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        heads: int,
        reach: Reach,
        sight: Sight | None = None,
    ) -> Tensor:
        in_cells = reach == "frames" and sight is None and by_hand(key, self.num_frames)
        if (reach != "frame" or self.tiles) and not in_cells:
            self.cache.put(f"{site}.key", key)
            self.cache.put(f"{site}.value", value)
        return super().attention(site, query, key, value, heads, reach, sight)

    def _in_cells(self, site: str, key: Tensor, value: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        k, v = in_cells(key, heads), in_cells(value, heads)
        self.cache.put(f"{site}.key", k, as_it_lies=True)
        self.cache.put(f"{site}.value", v, as_it_lies=True)
        return self._clips(k), self._clips(v)

    def joint_attention(
        self, site: str, own: Tokens, outside: Tokens, heads: int
    ) -> tuple[Tensor, Tensor]:
        self.cache.put(f"{site}.key", own.key)
        self.cache.put(f"{site}.value", own.value)
        return super().joint_attention(site, own, outside, heads)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        if self.tiles and x.device.type == "cpu":
            # Channels side by side, for gathers of cells.
            last = x.contiguous(memory_format=torch.channels_last)
            self.cache.put(f"{site}.input", last, as_it_lies=True)
        else:
            self.cache.put(f"{site}.input", x)
        return super().frame_conv(site, conv, x)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        self.cache.put(f"{site}.input", x)
        return super().across_frames(site, x)

"""A full pass that also fills the latent cache with what later partial steps will look at."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.dense import DenseExecutor, affine
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.protocols import Reach


def group_sums(x: Float[Tensor, "R C a b"], groups: int) -> Float[Tensor, "R g 2"]:
    """Per row and group: sum and sum of squares, in float64 (they are subtracted later)."""
    grouped = x.double().unflatten(1, (groups, -1)).flatten(2)
    return torch.stack([grouped.sum(-1), grouped.square().sum(-1)], dim=-1)


def normalised(
    x: Float[Tensor, "R C a b"],
    norm: nn.GroupNorm,
    mean: Float[Tensor, "R g"],
    inverse_deviation: Float[Tensor, "R g"],
) -> Float[Tensor, "R C a b"]:
    """Group normalisation with given statistics."""
    width = x.shape[1] // norm.num_groups
    # One multiply and one add per element: y = x * scale + shift, with per-channel factors.
    weight, bias = affine(norm, x.device)
    scale = inverse_deviation.repeat_interleave(width, 1) * weight
    shift = bias - mean.repeat_interleave(width, 1) * scale
    y = torch.addcmul(shift[:, :, None, None], x.float(), scale[:, :, None, None])
    return y.to(x.dtype)


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
        above, left = int(conv.padding[0]), int(conv.padding[1])
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
        self.cache.put(f"{site}.sums", group_sums(x, norm.num_groups))
        sums = self.cache.get(f"{site}.sums")
        cells = x[0].numel() // norm.num_groups
        mean, inverse = clip_statistics(sums, self.num_frames, cells, norm.eps)
        return normalised(x, norm, mean.float(), inverse.float())

    def attention(
        self, site: str, query: Tensor, key: Tensor, value: Tensor, heads: int, reach: Reach
    ) -> Tensor:
        if reach != "frame" or self.tiles:
            self.cache.put(f"{site}.key", key)
            self.cache.put(f"{site}.value", value)
        return super().attention(site, query, key, value, heads, reach)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        self.cache.put(f"{site}.input", x)
        return super().frame_conv(site, conv, x)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        self.cache.put(f"{site}.input", x)
        return super().across_frames(site, x)


def clip_statistics(
    sums: Float[Tensor, "gT k 2"], num_frames: int, cells: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Mean and inverse deviation of each branch's whole clip, repeated for its T frames.

    cells: numbers per frame and group that went into the sums.
    """
    per_row = sums.unflatten(0, (-1, num_frames))
    total = per_row.sum(1, keepdim=True) / (num_frames * cells)
    mean = total[..., 0]
    inverse = (total[..., 1] - mean.square() + eps).rsqrt()
    return (
        mean.expand(-1, num_frames, -1).flatten(0, 1),
        inverse.expand(-1, num_frames, -1).flatten(0, 1),
    )

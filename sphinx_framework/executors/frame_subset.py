"""The active frames only; skipped frames take part through the latent cache (paper section 5.2)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.attention import attend, attend_frames
from sphinx_framework.executors.dense import DenseExecutor, pick
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.statistics import clip_statistics, group_sums, normalised
from sphinx_framework.protocols import Reach


class FrameSubsetExecutor(DenseExecutor):
    """Rows are the active frames, in ascending order, guidance branches outermost."""

    def __init__(
        self,
        num_frames: int,
        cache: LatentCache,
        frames: Int[Tensor, " f"],
        constants: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__(num_frames, constants)
        self.cache = cache
        self.frames = frames

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        return pick(per_frame, self.frames, self.num_frames)

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        return pick(per_frame, self.frames, self.num_frames)

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        if reach == "frame":
            return super().group_norm(site, norm, x, reach)
        sums = self.cache.get(f"{site}.sums")
        self._clips(sums)[:, self.frames] = self._held(group_sums(x, norm.num_groups))
        cells = x[0].numel() // norm.num_groups
        mean, inverse = clip_statistics(sums, self.num_frames, cells, norm.eps)
        return normalised(x, norm, self.rows(mean).float(), self.rows(inverse).float())

    def attention(
        self, site: str, query: Tensor, key: Tensor, value: Tensor, heads: int, reach: Reach
    ) -> Tensor:
        if reach == "frame":
            return attend(query, key, value, heads)
        k = self._updated(f"{site}.key", key)
        v = self._updated(f"{site}.value", value)
        q = self._held(query)
        if reach == "frames":
            return attend_frames(q, k, v, heads).flatten(0, 1)
        mixed = attend(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), heads)
        return mixed.unflatten(1, (len(self.frames), -1)).flatten(0, 1)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        clip = self._updated(f"{site}.input", x)  # [g, T, C, h, w]
        taps = conv.kernel_size[0]
        padded = F.pad(clip, (0, 0, 0, 0, 0, 0, taps // 2, taps // 2))
        near = torch.stack([padded[:, self.frames + tap] for tap in range(taps)], dim=3)
        weight = conv.weight.flatten(1)[..., None, None]  # [D, C * taps, 1, 1]
        return F.conv2d(near.flatten(0, 1).flatten(1, 2), weight, conv.bias)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        clips = self._updated(f"{site}.input", x)[:, None]
        return clips.expand(-1, len(self.frames), *(-1 for _ in clips.shape[2:])).flatten(0, 1)

    def _held(self, x: Tensor) -> Tensor:
        """``[g f *d]`` view of held rows."""
        return x.unflatten(0, (-1, len(self.frames)))

    def _updated(self, slot: str, x: Tensor) -> Tensor:
        """The slot as ``[g T *d]``, with the active rows written over it."""
        clips = self._clips(self.cache.get(slot))
        clips[:, self.frames] = self._held(x)
        return clips

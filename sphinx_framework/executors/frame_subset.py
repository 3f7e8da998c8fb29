"""The active frames only; skipped frames take part through the latent cache (paper section 5.2)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.dense import DenseExecutor, pick
from sphinx_framework.executors.kept import keeps_for, packed_conv2d
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.statistics import (
    clip_statistics,
    group_moments,
    normalised,
    renewed_norm,
)
from sphinx_framework.executors.taps import mixed_cells, mixed_frames
from sphinx_framework.protocols import Reach, Sight

MARGIN = 1  # distances beyond it are not told apart: compiled steps depend on this number


class FrameSubsetExecutor(DenseExecutor):
    """Rows are the active frames, in ascending order, guidance branches outermost."""

    def __init__(
        self,
        num_frames: int,
        cache: LatentCache,
        frames: Int[Tensor, " f"],
        constants: dict[str, Tensor] | None = None,
        *,
        listed: Sequence[int] | None = None,
    ) -> None:
        """``listed``: the frames on the host, so that nobody waits for the device to tell them."""
        super().__init__(num_frames, constants)
        self.cache = cache
        self.frames = frames
        self.listed = listed
        # Least distance of an active frame to an end of the clip; unknown counts as none.
        self.margin = 0
        if listed:
            self.margin = min(MARGIN, listed[0], num_frames - 1 - listed[-1])
        self._near: dict[int, tuple[Tensor, Tensor | None]] = {}

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        return pick(per_frame, self.frames, self.num_frames)

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        return pick(per_frame, self.frames, self.num_frames)

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        if isinstance(conv.padding, str):
            return super().conv2d(site, conv, x)
        kept, padding = self.cache.kept, conv.padding
        return packed_conv2d(f"{site}.frames", x, conv.weight, conv, kept, padding)

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        if reach == "frame":
            return super().group_norm(site, norm, x, reach)
        moments, wide = self.cache.get(f"{site}.moments"), x.float()
        if keeps_for(self.cache.kept, x) and not x.requires_grad:
            return renewed_norm(self._clips(moments), self.frames, wide, norm).to(x.dtype)
        self._clips(moments)[:, self.frames] = self._held(group_moments(wide, norm.num_groups))
        mean, inverse = clip_statistics(moments, self.num_frames, norm.eps)
        return normalised(wide, norm, self.rows(mean), self.rows(inverse)).to(x.dtype)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        clip = self._updated(f"{site}.input", x)  # [g, T, C, h, w]
        at, inside = self._neighbours(conv.kernel_size[0])
        if x.device.type == "cpu":
            return self._mixed(site, conv, clip, at[:, 0], inside)
        # One gather of only the frames that the kernel reads, in the order of its weights.
        channels = torch.arange(x.shape[1], device=x.device)[:, None]
        near = clip[:, at, channels]  # [g, f, C, taps, h, w]
        if inside is not None:
            near.mul_(inside.to(near.dtype))
        weight = conv.weight.flatten(1)[..., None, None]  # [D, C * taps, 1, 1]
        return F.conv2d(near.flatten(0, 1).flatten(1, 2), weight, conv.bias)

    def _mixed(
        self,
        site: str,
        conv: nn.Conv3d,
        clip: Tensor,
        at: Int[Tensor, "f taps"],
        inside: Tensor | None,
    ) -> Float[Tensor, "R D a b"]:
        """The convolution on a CPU: whole frames are gathered, as they lie."""
        as_cells = not clip.is_contiguous()  # a pass for tiles has recorded it
        whole = clip.permute(0, 1, 3, 4, 2) if as_cells else clip
        near = whole.flatten(2).index_select(1, at.flatten())
        near = near.view(len(clip), *at.shape, *whole.shape[2:])  # [g, f, taps, ...]
        if inside is not None:
            near.mul_(inside.transpose(1, 2).to(near.dtype))
        if not as_cells:
            return mixed_frames(site, near.flatten(0, 1), conv, self.cache.kept)
        size, channels = whole.shape[2:4], whole.shape[4]
        cells = near.flatten(0, 1).flatten(2, 3).transpose(1, 2)  # [R, cells, taps, C]
        mixed = mixed_cells(site, cells.reshape(-1, at.shape[1], channels), conv, self.cache.kept)
        return mixed.view(-1, *size, conv.out_channels).permute(0, 3, 1, 2)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        clips = self._updated(f"{site}.input", x)[:, None]
        return clips.expand(-1, len(self.frames), *(-1 for _ in clips.shape[2:])).flatten(0, 1)

    def _neighbours(self, taps: int) -> tuple[Tensor, Tensor | None]:
        """Frames ``[f 1 taps]`` that a kernel reads; where they lie in the clip, if not all do."""
        if taps not in self._near:
            steps = torch.arange(taps, device=self.frames.device) - taps // 2
            at = (self.frames[:, None] + steps)[:, None]
            within = at.clamp(0, self.num_frames - 1)
            inside = None if taps // 2 <= self.margin else (at == within)[..., None, None]
            self._near[taps] = within, inside
        return self._near[taps]

    def _held(self, x: Tensor) -> Tensor:
        return x.unflatten(0, (-1, len(self.frames)))

    def _frames(self, held: Tensor) -> Tensor:
        return self.frames

    def _frame_list(self) -> Sequence[int]:
        if self.listed is None:
            self.listed = self.frames.tolist()
        return self.listed

    def _all_frames(self, site: str, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return self._updated(f"{site}.key", key), self._updated(f"{site}.value", value)

    def _in_cells(self, site: str, key: Tensor, value: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        k = self._updated(f"{site}.key", key.unflatten(-1, (heads, -1)))
        return k, self._updated(f"{site}.value", value.unflatten(-1, (heads, -1)))

    def _rows_of_bias(self, bias: Tensor | None) -> Tensor | None:
        return bias if bias is None or bias.shape[0] == 1 else self.rows(bias)

    def _clip_bias(self, sight: Sight, tokens: int) -> Tensor | None:
        bias = super()._clip_bias(sight, tokens)
        return None if bias is None else bias.index_select(2, self.frames)

    def _updated(self, slot: str, x: Tensor) -> Tensor:
        """The slot as ``[g T *d]``, with the active rows written over it."""
        clips, held = self._clips(self.cache.get(slot)), self._held(x)
        if self.listed is None or not keeps_for(self.cache.kept, x):
            clips[:, self.frames] = held
            return clips
        for row, frame in enumerate(self.listed):  # copies of whole rows beat a put by index
            clips[:, frame] = held[:, row]
        return clips

"""All frames, all pixels, no cache: what the network means."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.attention import (
    attend,
    attend_causally,
    attend_frames,
    attend_in_cells,
    by_hand,
    extended,
    extended_frames,
    frames_mask,
    in_cells,
    refuse_causal_frame,
    widened,
)
from sphinx_framework.executors.statistics import float32_group_norm
from sphinx_framework.protocols import Reach, Sight, Tokens


def same_conv2d(conv: nn.Conv2d, x: Tensor, padding: tuple[int, int]) -> Tensor:
    """The convolution's weights with the padding given."""
    return F.conv2d(x, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups)


def zero_border(conv: nn.Conv2d) -> tuple[int, int]:
    """Rows and columns of zeros on either side of what a convolution reads.

    Raises ``ValueError`` for a padding to the same size that differs from side to side, which tiles
    cannot have.
    """
    if not isinstance(conv.padding, str):
        return conv.padding[0], conv.padding[1]
    if conv.padding == "valid":
        return 0, 0
    reach = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    if any(r % 2 for r in reach):
        raise ValueError(
            f"a convolution of {conv.kernel_size[0]}x{conv.kernel_size[1]} with padding='same' "
            "pads its sides differently; steps of tiles need numbers"
        )
    return reach[0] // 2, reach[1] // 2


class DenseExecutor:
    """Runs every frame of the clip; rows are frames, guidance branches outermost."""

    def __init__(self, num_frames: int, constants: dict[str, Tensor] | None = None) -> None:
        """``constants`` is the request's store of step-invariant tensors (see ``constant``)."""
        self.num_frames = num_frames
        self.constants = {} if constants is None else constants

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        return per_frame

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        return per_frame

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        return same_conv2d(conv, x, conv.padding)  # type: ignore[arg-type]

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        if reach == "frame":
            return float32_group_norm(norm, x)
        clip = self._clips(x).transpose(1, 2)  # [g, C, T, h, w]
        return float32_group_norm(norm, clip).transpose(1, 2).flatten(0, 1)

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
        if reach == "frame":
            refuse_causal_frame(sight)
            bias = None if sight is None else self._rows_of_bias(sight.bias)
            return attend(query, *extended(key, value, sight), heads, widened(bias, sight))
        if reach == "frames" and sight is None and by_hand(key, self.num_frames):
            k, v = self._in_cells(site, key, value, heads)
            q = self._held(query.unflatten(-1, (heads, -1)))
            q, k, v = (t.permute(2, 3, 0, 1, 4) for t in (q, k, v))  # [n, H, g, f or T, d]
            return attend_in_cells(q, k, v).permute(2, 3, 0, 1, 4).flatten(3).flatten(0, 1)
        k, v = self._all_frames(site, key, value)
        q = self._held(query)
        if reach == "frames":
            mask = None if sight is None else frames_mask(sight, self._frames(q), self.num_frames)
            return attend_frames(q, *extended_frames(k, v, sight), heads, mask).flatten(0, 1)
        return self._over_clip(q, k, v, heads, sight)

    def joint_attention(
        self, site: str, own: Tokens, outside: Tokens, heads: int
    ) -> tuple[Tensor, Tensor]:
        k, v = self._all_frames(site, own.key, own.value)
        sight = Sight(key=outside.key, value=outside.value)
        mixed = self._over_clip(self._held(own.query), k, v, heads, sight)
        k, v = extended(k.flatten(1, 2), v.flatten(1, 2), sight)
        return mixed, attend(outside.query, k, v, heads)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        clip = self._clips(x).transpose(1, 2)
        y = F.conv3d(clip, conv.weight, conv.bias, padding=(conv.kernel_size[0] // 2, 0, 0))
        return y.transpose(1, 2).flatten(0, 1)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        clips = self._clips(x)[:, None]
        return clips.expand(-1, self.num_frames, *(-1 for _ in clips.shape[2:])).flatten(0, 1)

    def constant(self, site: str, make: Callable[[], Tensor]) -> Tensor:
        if site not in self.constants:
            self.constants[site] = make()
        return self.constants[site]

    def _all_frames(self, site: str, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of all tokens, ``[g T n D]``."""
        return self._clips(key), self._clips(value)

    def _in_cells(self, site: str, key: Tensor, value: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """The same with heads apart, ``[g T n H d]``, the frames of a cell side by side."""
        return self._clips(in_cells(key, heads)), self._clips(in_cells(value, heads))

    def _held(self, x: Tensor) -> Tensor:
        """``[g r *d]`` view of held rows."""
        return self._clips(x)

    def _frames(self, held: Tensor) -> Tensor:
        """Frame of every held row, on the device."""
        return torch.arange(self.num_frames, device=held.device)

    def _frame_list(self) -> Sequence[int]:
        """The same on the host."""
        return range(self.num_frames)

    def _rows_of_bias(self, bias: Tensor | None) -> Tensor | None:
        """Bias of the held rows against their own frame, ``[1 or R H n m]``."""
        return bias

    def _clip_bias(self, sight: Sight, tokens: int) -> Tensor | None:
        """Bias of the held rows against the clip, ``[B H r n T m]``; ``tokens`` of a frame."""
        if sight.bias is None:
            return None
        shape = (self.num_frames, tokens)
        return sight.bias.unflatten(3, shape).unflatten(2, shape)

    def _over_clip(
        self, q: Tensor, k: Tensor, v: Tensor, heads: int, sight: Sight | None
    ) -> Float[Tensor, "R n E"]:
        """Queries ``[g r n D]`` over the tokens of all frames ``[g T m D]``."""
        bias = None if sight is None else self._clip_bias(sight, k.shape[2])
        if sight is not None and sight.causal:
            mixed = attend_causally(q, self._frame_list(), k, v, heads, sight, bias)
            return mixed.flatten(0, 1)
        mask = None if bias is None else bias.flatten(4).flatten(2, 3)
        keys, values = extended(k.flatten(1, 2), v.flatten(1, 2), sight)
        mixed = attend(q.flatten(1, 2), keys, values, heads, widened(mask, sight))
        return mixed.unflatten(1, (q.shape[1], -1)).flatten(0, 1)

    def _clips(self, x: Tensor) -> Tensor:
        """``[gT *d] -> [g T *d]``."""
        return x.unflatten(0, (-1, self.num_frames))


def pick(per_frame: Tensor, frames: Tensor, num_frames: int) -> Tensor:
    """Rows of the given frames from ``[gT *d]``, branches outermost."""
    return torch.index_select(per_frame.unflatten(0, (-1, num_frames)), 1, frames).flatten(0, 1)

"""All frames, all pixels, no cache: what the network means."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.attention import attend, attend_frames
from sphinx_framework.executors.statistics import float32_group_norm
from sphinx_framework.protocols import Reach


def same_conv2d(conv: nn.Conv2d, x: Tensor, padding: tuple[int, int]) -> Tensor:
    """The convolution's weights with the padding given."""
    return F.conv2d(x, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups)


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
        self, site: str, query: Tensor, key: Tensor, value: Tensor, heads: int, reach: Reach
    ) -> Tensor:
        if reach == "frame":
            return attend(query, key, value, heads)
        q, k, v = self._clips(query), self._clips(key), self._clips(value)
        if reach == "frames":
            return attend_frames(q, k, v, heads).flatten(0, 1)
        mixed = attend(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), heads)
        return mixed.unflatten(1, (self.num_frames, -1)).flatten(0, 1)

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

    def _clips(self, x: Tensor) -> Tensor:
        """``[gT *d] -> [g T *d]``."""
        return x.unflatten(0, (-1, self.num_frames))


def pick(per_frame: Tensor, frames: Tensor, num_frames: int) -> Tensor:
    """Rows of the given frames from ``[gT *d]``, branches outermost."""
    return torch.index_select(per_frame.unflatten(0, (-1, num_frames)), 1, frames).flatten(0, 1)

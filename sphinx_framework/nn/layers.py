"""Torch layers whose ``forward`` goes through an executor; parameters and keys are torch's own.

A network built from these computes the plain torch result under the dense executor, and only the
asked-for frames or tiles under the others, without knowing which.
"""

from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.protocols import Executor, Reach, Sight


class Conv2d(nn.Conv2d):
    """A same-padding convolution within each frame (kernel 3 or more, stride 1 or 2).

    1x1 convolutions are pointwise: write them as ``torch.nn.Conv2d``.
    """

    site: str = ""

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "R C a b"], ops: Executor
    ) -> Float[Tensor, "R D i j"]:
        return ops.conv2d(self.site, self, x)


class GroupNorm(nn.GroupNorm):
    """Group normalisation over a frame (or over the clip, ``reach="frames"``), in float32."""

    site: str = ""
    reach: Reach = "frame"

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "R C a b"], ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        return ops.group_norm(self.site, self, x, self.reach)


class FrameConv(nn.Conv3d):
    """A convolution along the frame axis, kernel (k, 1, 1), zero padding."""

    site: str = ""

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "R C a b"], ops: Executor
    ) -> Float[Tensor, "R D a b"]:
        return ops.frame_conv(self.site, self, x)


class SelfAttention(nn.Module):
    """Multi-head self-attention; keys ``to_q to_k to_v`` (no bias) and ``to_out.0``.

    reach: ``"frame"`` (tokens of a frame), ``"frames"`` (frames at a cell), ``"clip"`` (both).
    """

    site: str = ""

    def __init__(self, channels: int, heads: int, head_dim: int, reach: Reach) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.reach: Reach = reach
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(channels, inner, bias=False)
        self.to_v = nn.Linear(channels, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(
        self, x: Float[Tensor, "R n C"], ops: Executor, sight: Sight | None = None
    ) -> Float[Tensor, "R n C"]:
        mixed = ops.attention(
            self.site, self.to_q(x), self.to_k(x), self.to_v(x), self.heads, self.reach, sight
        )
        out: Tensor = self.to_out[0](mixed)
        return out

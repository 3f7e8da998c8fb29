"""The executor: the only way a network may look beyond the rows it was handed."""

from collections.abc import Callable
from typing import Literal, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.protocols.sight import Sight, Tokens

Reach = Literal["frame", "frames", "clip"]


class Executor(Protocol):
    """The only way a network may look beyond the rows it was handed.

    A *row* is a frame, or in block-sparse steps a tile of a frame; the leading axis of every
    activation is ``R`` rows, guidance branches outermost. A network never writes a literal frame
    count, height or width: what is pointwise is plain torch, what looks at other pixels or frames
    is one of these calls. ``site`` is the call's unique name in the network (see
    :func:`sphinx_framework.nn.bind_sites`).
    """

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        """Pick the held rows of a tensor with one entry per frame (times branches)."""
        ...

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        """Pick the held rows, cut to the held tiles, of one map per frame (times branches)."""
        ...

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        """Convolve within each frame (same padding; stride 1 or 2)."""
        ...

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        """Normalise with the statistics of the whole frame, or of the whole clip."""
        ...

    def attention(
        self,
        site: str,
        query: Float[Tensor, "R n D"],
        key: Float[Tensor, "R n D"],
        value: Float[Tensor, "R n E"],
        heads: int,
        reach: Reach,
        sight: Sight | None = None,
    ) -> Float[Tensor, "R n E"]:
        """Self-attention, scale ``1/sqrt(D/heads)``, on already projected tokens.

        ``"frame"``: over the tokens of the same frame. ``"frames"``: over the T frames at the same
        cell. ``"clip"``: over all tokens of all frames. Tokens are row-major cells of a row.
        ``sight``: bias or mask, causal order of frames, tokens that belong to no frame.
        """
        ...

    def joint_attention(
        self, site: str, own: Tokens, outside: Tokens, heads: int
    ) -> tuple[Float[Tensor, "R n E"], Float[Tensor, "g m E"]]:
        """Attention of all tokens of all frames and of tokens of no frame over each other.

        The second answer is the outside tokens' (a text that is updated from block to block): it
        is computed whole in every step, over the cached and the active frames.
        """
        ...

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        """Convolve along the frame axis, kernel (k, 1, 1), zero padding beyond the clip."""
        ...

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        """Give every row the values of all T frames at its place: any other frame mixer."""
        ...

    def constant(self, site: str, make: Callable[[], Tensor]) -> Tensor:
        """Compute once per request what depends on neither step nor rows, then reuse it."""
        ...

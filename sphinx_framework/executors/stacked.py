"""Several requests in one call of the network: rows of all of them, each with its own executor.

What stays within a frame runs once on all rows; what looks at other frames, a cache, or a tile's
surroundings is split and handed to each request's own executor. Isolation is by construction:
there is no padding and no mask, and full, partial and block-sparse steps may share a call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.errors import CapabilityError
from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor, same_conv2d
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.statistics import float32_group_norm
from sphinx_framework.protocols import Executor, Reach, Sight, Tokens


@dataclass(slots=True)
class StackedExecutor:
    """Rows of several requests, one after the other.

    parts: each request's own executor. counts: of its rows.
    """

    parts: Sequence[Executor]
    counts: Sequence[int]
    whole: DenseExecutor = field(init=False)
    local: bool = field(init=False)

    def __post_init__(self) -> None:
        """See whether every request's rows are whole frames of which nothing is recorded."""
        self.whole = DenseExecutor(1)
        self.local = not any(
            isinstance(part, BlockSparseExecutor)
            or (isinstance(part, RecordExecutor) and part.tiles)
            for part in self.parts
        )

    def _each(self, ask: Callable[..., Tensor], *stacked: Tensor) -> Tensor:
        """Let every request's executor answer for its own rows."""
        pieces = [x.split(list(self.counts)) for x in stacked]
        return torch.cat([ask(part, *own) for part, *own in zip(self.parts, *pieces, strict=True)])

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        """Once for all rows, unless a request needs its surroundings or records them."""
        if self.local:
            return same_conv2d(conv, x, conv.padding)  # type: ignore[arg-type]
        return self._each(lambda part, own: part.conv2d(site, conv, own), x)

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        """Once for all rows where frames are normalised by themselves."""
        if self.local and reach == "frame":
            return float32_group_norm(norm, x)
        return self._each(lambda part, own: part.group_norm(site, norm, own, reach), x)

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
        """Once for all rows within frames; over other frames, by each request."""
        if self.local and reach == "frame" and sight is None:
            return self.whole.attention(site, query, key, value, heads, reach)
        if sight is not None:
            raise _refusal("attention with a sight")
        return self._each(
            lambda part, q, k, v: part.attention(site, q, k, v, heads, reach), query, key, value
        )

    def joint_attention(
        self, site: str, own: Tokens, outside: Tokens, heads: int
    ) -> tuple[Tensor, Tensor]:
        """Refused: tokens outside of all frames belong to one request."""
        raise _refusal("joint_attention")

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        """By each request: it looks at other frames."""
        return self._each(lambda part, own: part.frame_conv(site, conv, own), x)

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        """Refused: each request picks its own rows."""
        raise _refusal("rows")

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        """Refused: each request picks its own rows."""
        raise _refusal("maps")

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        """Refused: requests may have different numbers of frames."""
        raise _refusal("across_frames")

    def constant(self, site: str, make: Callable[[], Tensor]) -> Tensor:
        """Refused: a constant belongs to one request."""
        raise _refusal("constant")


def _refusal(call: str) -> CapabilityError:
    return CapabilityError(f"{call} cannot be asked for the rows of several requests together.")

"""The one way to run a step: all frames, some frames, or some tiles of the network.

Whoever runs a network - the loop, the cost table, the oracle, the contracts - gets
its executor here, so that what is timed and checked is what is served.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.kernels import fast_kernels
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.stopwatch import Stopwatch
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.protocols import DiffusionModel, Executor, GuidedModel

Constants = dict[str, Tensor]


@dataclass(slots=True, kw_only=True)
class Call:
    """One run of the network that somebody wants; :meth:`answer` is its prediction.

    x: the rows that ``executor`` holds, at ``step``. watch: of the time that answers take.
    guided: the model is to tell the difference of guidance's branches, which is then in
    ``difference``. kept: one of earlier, for these rows: only the conditional branch runs.
    """

    model: DiffusionModel[Any, Any]
    x: Float[Tensor, "R C a b"]
    step: int
    condition: Any
    executor: Executor
    guided: bool = False
    kept: Float[Tensor, "R C a b"] | None = None
    difference: Float[Tensor, "R C a b"] | None = field(init=False, default=None)
    watch: Stopwatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Stopwatch(self.x.device)

    @torch.no_grad()
    def answer(self) -> Float[Tensor, "R C a b"]:
        """Run the network: the clean rows as it predicts them."""
        with self.watch.running(), fast_kernels(self.x.device):
            if not self.guided:
                return self.model.denoise(self.x, self.step, self.condition, self.executor)
            model: GuidedModel = self.model  # type: ignore[assignment]
            prediction, self.difference = model.denoise_guided(
                self.x, self.step, self.condition, self.executor, self.kept
            )
            return prediction


def full_pass(
    model: DiffusionModel[Any, Any],
    x: Float[Tensor, "T C h w"],
    step: int,
    condition: Any,
    *,
    cache: LatentCache | None = None,
    tiles: bool = False,
    constants: Constants | None = None,
) -> Call:
    """All frames. With a cache it is recorded; ``tiles``: also what block-sparse steps need."""
    executor: DenseExecutor = DenseExecutor(len(x), constants)
    if cache is not None:
        cache.begin_record(step)
        executor = RecordExecutor(len(x), cache, tiles=tiles, constants=constants)
    return Call(model=model, x=x, step=step, condition=condition, executor=executor)


def frames_pass(
    model: DiffusionModel[Any, Any],
    x: Float[Tensor, "T C h w"],
    step: int,
    condition: Any,
    *,
    cache: LatentCache,
    frames: Int[Tensor, " f"],
    listed: Sequence[int] | None = None,
    constants: Constants | None = None,
) -> Call:
    """The given frames of the clip ``x``, ascending; the others take part through the cache.

    listed: the same frames on the host, for networks that need their numbers there.
    """
    executor = FrameSubsetExecutor(len(x), cache, frames, constants, listed=listed)
    return Call(model=model, x=x[frames], step=step, condition=condition, executor=executor)


def tiles_pass(
    model: DiffusionModel[Any, Any],
    x: Float[Tensor, "T C h w"],
    step: int,
    condition: Any,
    *,
    cache: LatentCache,
    tiles: TileSet,
    constants: Constants | None = None,
) -> Call:
    """The given tiles of the clip ``x``; every other cell takes part through the cache."""
    executor = BlockSparseExecutor(len(x), cache, tiles, constants)
    return Call(model=model, x=executor.maps(x), step=step, condition=condition, executor=executor)

"""The law every backend must pass: fresh-cache equivalence.

With a cache recorded at the same input and step, any subset of frames, and any subset of tiles,
reproduces the rows of the full pass.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.protocols import DiffusionModel

# float32 on CPU: worst seen on the fakes 2e-6; the law's bound is 1e-4 relative.
RELATIVE_TOLERANCE = 1e-4


def relative_error(result: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest expected magnitude."""
    return float((result - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def fresh_cache_errors(
    model: DiffusionModel[Any],
    x: Float[Tensor, "T C h w"],
    step: int,
    condition: Any,
    *,
    frames: Sequence[int],
    tiles: Bool[Tensor, "T y x"] | None = None,
) -> dict[str, float]:
    """Relative errors of record, frame-subset and (with ``tiles``) block-sparse execution."""
    num_frames = x.shape[0]
    with torch.no_grad():
        dense = model.denoise(x, step, condition, DenseExecutor(num_frames))
        errors = {}
        cache = LatentCache()
        cache.begin_record(step)
        recorded = model.denoise(
            x, step, condition, RecordExecutor(num_frames, cache, tiles=tiles is not None)
        )
        errors["record"] = relative_error(recorded, dense)
        index = torch.tensor(sorted(frames), device=x.device)
        subset = FrameSubsetExecutor(num_frames, cache, index)
        errors["frames"] = relative_error(
            model.denoise(x[index], step, condition, subset), dense[index]
        )
        if tiles is not None:
            sparse = BlockSparseExecutor(num_frames, cache, TileSet.from_mask(tiles, x.device))
            result = model.denoise(sparse.maps(x), step, condition, sparse)
            errors["tiles"] = relative_error(result, sparse.maps(dense))
    return errors

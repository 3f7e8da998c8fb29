"""The law every backend must pass: fresh-cache equivalence.

With a cache recorded at the same input and step, any subset of frames, and any subset of tiles,
reproduces the rows of the full pass.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.passes import frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.tiles import TileSet, gather
from sphinx_framework.protocols import DiffusionModel

# float32 on CPU: worst seen on the fakes 2e-6; the law's bound is 1e-4 relative.
RELATIVE_TOLERANCE = 1e-4


def relative_error(result: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest expected magnitude."""
    return float((result - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def fresh_cache_errors(
    model: DiffusionModel[Any, Any],
    x: Float[Tensor, "T C h w"],
    step: int,
    condition: Any,
    *,
    frames: Sequence[int],
    tiles: Bool[Tensor, "T y x"] | None = None,
) -> dict[str, float]:
    """Relative errors of record, frame-subset and (with ``tiles``) block-sparse execution."""
    asked = model, x, step, condition
    dense = full_pass(*asked).answer()
    cache = LatentCache()
    recorded = full_pass(*asked, cache=cache, tiles=tiles is not None).answer()
    index = torch.tensor(sorted(frames), device=x.device)
    subset = frames_pass(*asked, cache=cache, frames=index).answer()
    errors = {
        "record": relative_error(recorded, dense),
        "frames": relative_error(subset, dense[index]),
    }
    if tiles is not None:
        tile_set = TileSet.from_mask(tiles, x.device)
        sparse = tiles_pass(*asked, cache=cache, tiles=tile_set).answer()
        errors["tiles"] = relative_error(sparse, gather(dense, tile_set))
    return errors

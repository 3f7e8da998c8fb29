"""Several steps on an ageing cache, against an oracle that recomputes whole stale tensors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import KINDS, MixedModel, random_clip
from stale_oracle import StaleOracle

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.testing.oracle import relative_error

TOLERANCE = 1e-4


def states(frames: int, size: tuple[int, int], count: int):
    """Unrelated latents for every step, so that stale values differ from fresh ones a lot."""
    return [random_clip(frames, size, seed)[0] for seed in range(count)]


def grown(count: int, frames: int, seed: int) -> list[list[int]]:
    """Active frames of successive steps; they only ever grow."""
    order = torch.randperm(frames, generator=torch.Generator().manual_seed(seed)).tolist()
    return [sorted(order[: 1 + step * (frames - 1) // count]) for step in range(count)]


@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_frame_subsets_see_skipped_frames_as_they_were(kind, branches):
    frames, size = 4, (8, 4)
    model = MixedModel((kind, kind), branches=branches)
    _, condition = random_clip(frames, size)
    xs = states(frames, size, 5)
    cache, oracle = LatentCache(), StaleOracle(frames)
    with torch.no_grad():
        cache.begin_record(10)
        model.denoise(xs[0], 10, condition, RecordExecutor(frames, cache))
        model.denoise(xs[0], 10, condition, oracle.full())
        for step, (x, active) in enumerate(zip(xs[1:], grown(4, frames, 0), strict=True), 11):
            rows = torch.tensor(active)
            subset = FrameSubsetExecutor(frames, cache, rows)
            result = model.denoise(x[rows], step, condition, subset)
            expected = model.denoise(x, step, condition, oracle.frames(active))[rows]
            assert relative_error(result, expected) < TOLERANCE


@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_tiles_see_skipped_cells_as_they_were(kind, branches):
    frames, size = 3, (8, 12)
    model = MixedModel((kind, kind), branches=branches)
    _, condition = random_clip(frames, size)
    xs = states(frames, size, 5)
    order = torch.rand(frames, 2, 3, generator=torch.Generator().manual_seed(1))
    cache, oracle = LatentCache(), StaleOracle(frames)
    with torch.no_grad():
        cache.begin_record(10)
        model.denoise(xs[0], 10, condition, RecordExecutor(frames, cache, tiles=True))
        model.denoise(xs[0], 10, condition, oracle.full())
        for step, x in enumerate(xs[1:], 11):
            active = order < 0.2 * (step - 9)
            sparse = BlockSparseExecutor(frames, cache, TileSet.from_mask(active))
            result = model.denoise(sparse.maps(x), step, condition, sparse)
            expected = model.denoise(x, step, condition, oracle.tiles(active))
            assert relative_error(result, sparse.maps(expected)) < TOLERANCE


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=5).map(tuple),
    branches=st.sampled_from([1, 2]),
    by_tiles=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_network_agrees_over_two_refreshes(kinds, branches, by_tiles, seed):
    frames, size = 3, (8, 8)
    model = MixedModel(kinds, branches=branches, seed=seed)
    _, condition = random_clip(frames, size, seed)
    xs = states(frames, size, 6)
    order = torch.rand(frames, 2, 2, generator=torch.Generator().manual_seed(seed))
    order[seed % frames, 0, 0] = 0
    cache, oracle = LatentCache(), StaleOracle(frames)
    with torch.no_grad():
        for step, x in enumerate(xs):
            if step % 3 == 0:
                cache.begin_record(step)
                record = RecordExecutor(frames, cache, tiles=by_tiles)
                result = model.denoise(x, step, condition, record)
                expected = model.denoise(x, step, condition, oracle.full())
            elif by_tiles:
                active = order < 0.15 * (step + 1)
                sparse = BlockSparseExecutor(frames, cache, TileSet.from_mask(active))
                result = model.denoise(sparse.maps(x), step, condition, sparse)
                whole = model.denoise(x, step, condition, oracle.tiles(active))
                expected = sparse.maps(whole)
            else:
                active = grown(6, frames, seed)[step]
                rows = torch.tensor(active)
                subset = FrameSubsetExecutor(frames, cache, rows)
                result = model.denoise(x[rows], step, condition, subset)
                expected = model.denoise(x, step, condition, oracle.frames(active))[rows]
            assert relative_error(result, expected) < TOLERANCE


def test_a_stale_cache_differs_from_a_dense_pass():
    frames, size = 3, (8, 8)
    model = MixedModel(("frames", "clip"))
    first, condition = random_clip(frames, size, 0)
    second, _ = random_clip(frames, size, 1)
    cache = LatentCache()
    rows = torch.tensor([1])
    with torch.no_grad():
        cache.begin_record(0)
        model.denoise(first, 0, condition, RecordExecutor(frames, cache))
        subset = FrameSubsetExecutor(frames, cache, rows)
        partial = model.denoise(second[rows], 1, condition, subset)
        dense = model.denoise(second, 1, condition, StaleOracle(frames).full())[rows]
    assert relative_error(partial, dense) > 0.01

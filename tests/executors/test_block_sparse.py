import pytest
import torch
from networks import KINDS, MixedModel, random_clip
from torch import nn

from sphinx_framework.errors import StaleCacheError
from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor, zero_border
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.testing.oracle import relative_error

FRAMES = 3


def some_tiles(*indices, grid=(2, 2)):
    mask = torch.zeros(FRAMES, *grid, dtype=torch.bool)
    for index in indices:
        mask[index] = True
    return mask


def recorded(model, x, condition, *, tiles=True):
    cache = LatentCache()
    cache.begin_record(0)
    with torch.no_grad():
        model.denoise(x, 0, condition, RecordExecutor(FRAMES, cache, tiles=tiles))
    return cache


def sparse(cache, mask):
    return BlockSparseExecutor(FRAMES, cache, TileSet.from_mask(mask))


def test_rows_follow_tiles_and_maps_are_cut():
    ops = sparse(LatentCache(), some_tiles((0, 1, 0), (2, 0, 0), (2, 0, 1)))
    assert ops.rows(torch.arange(6.0)).tolist() == [0, 2, 2, 3, 5, 5]
    assert ops.maps(torch.zeros(6, 1, 8, 8)).shape == (6, 1, 4, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_needs_a_full_pass_that_recorded_tiles(kind):
    model = MixedModel((kind,))
    x, condition = random_clip(FRAMES, (8, 8))
    ops = sparse(LatentCache(), some_tiles((1, 0, 0)))
    with pytest.raises(StaleCacheError, match=r"mixers\.0"), torch.no_grad():
        model.denoise(ops.maps(x), 0, condition, ops)


def test_a_pass_recorded_for_frame_subsets_does_not_serve_tiles():
    model = MixedModel(("conv",))
    x, condition = random_clip(FRAMES, (8, 8))
    ops = sparse(recorded(model, x, condition, tiles=False), some_tiles((1, 0, 0)))
    with pytest.raises(StaleCacheError), torch.no_grad():
        model.denoise(ops.maps(x), 1, condition, ops)


@pytest.mark.parametrize("kind", ["conv", "below", "clip", "across"])
def test_all_tiles_active_is_the_dense_pass(kind):
    model = MixedModel((kind,))
    x, condition = random_clip(FRAMES, (8, 8))
    fresh, _ = random_clip(FRAMES, (8, 8), seed=1)
    ops = sparse(recorded(model, x, condition), torch.ones(FRAMES, 2, 2, dtype=torch.bool))
    with torch.no_grad():
        result = model.denoise(ops.maps(fresh), 3, condition, ops)
        dense = model.denoise(fresh, 3, condition, DenseExecutor(FRAMES))
    assert relative_error(result, ops.maps(dense)) < 1e-5


@pytest.mark.parametrize("kind", ["frames", "clip", "frame_conv", "across", "conv"])
def test_whole_frames_as_tiles_are_a_frame_subset(kind):
    model = MixedModel((kind,))
    x, condition = random_clip(FRAMES, (8, 8))
    fresh, _ = random_clip(FRAMES, (8, 8), seed=1)
    ops = sparse(recorded(model, x, condition), some_tiles(0, 2))
    rows = torch.tensor([0, 2])
    subset = FrameSubsetExecutor(FRAMES, recorded(model, x, condition), rows)
    with torch.no_grad():
        result = model.denoise(ops.maps(fresh), 3, condition, ops)
        expected = torch.zeros_like(fresh)
        expected[rows] = model.denoise(fresh[rows], 3, condition, subset)
    assert relative_error(result, ops.maps(expected)) < 1e-5


def test_a_padding_that_differs_from_side_to_side_is_refused():
    with pytest.raises(ValueError, match="4x3 with padding='same' pads its sides differently"):
        zero_border(nn.Conv2d(2, 2, (4, 3), padding="same"))
    assert zero_border(nn.Conv2d(2, 2, 4, padding="valid")) == (0, 0)


def test_a_tile_sees_its_neighbour_as_it_was_written_last():
    model = MixedModel(("conv",))
    x, condition = random_clip(FRAMES, (8, 8))
    fresh, _ = random_clip(FRAMES, (8, 8), seed=1)
    with torch.no_grad():
        cache = recorded(model, x, condition)
        both = sparse(cache, some_tiles((1, 0, 0), (1, 0, 1)))
        model.denoise(both.maps(fresh), 3, condition, both)
        one = sparse(cache, some_tiles((1, 0, 0)))
        after = model.denoise(one.maps(fresh), 3, condition, one)
        stale = sparse(recorded(model, x, condition), some_tiles((1, 0, 0)))
        before = model.denoise(stale.maps(fresh), 3, condition, stale)
    assert not torch.equal(after, before)


def test_tokens_that_do_not_fill_the_map_are_refused():
    cache = LatentCache()
    cache.begin_record(0)
    tokens = torch.zeros(FRAMES, 64, 4)
    RecordExecutor(FRAMES, cache, tiles=True).attention("a", tokens, tokens, tokens, 1, "clip")
    ops = sparse(cache, some_tiles((0, 0, 0)))
    with pytest.raises(ValueError, match="do not fill a map"):
        ops.attention("a", *(torch.zeros(1, 9, 4) for _ in range(3)), 1, "clip")

"""Partial steps of the network: equal to dense on a fresh cache, to the oracle on a stale one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stale_oracle import StaleOracle
from torch import Tensor

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.testing.oracle import fresh_cache_errors, relative_error
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.model import SevaModel

Clip = Callable[..., tuple[Tensor, SevaCondition]]
TOLERANCE = 1e-4
# Not smaller: norms over a handful of cells amplify rounding beyond any tolerance.
SIZES = [(48, 48), (32, 80), (64, 48)]


def tile_mask(x: Tensor, model: SevaModel, share: float, seed: int) -> Tensor:
    grid = (len(x), x.shape[2] // model.tile, x.shape[3] // model.tile)
    mask = torch.rand(grid, generator=torch.Generator().manual_seed(seed)) < share
    mask[seed % len(x), 0, 0] = True
    return mask


@given(
    targets=st.integers(1, 4),
    inputs=st.integers(1, 3),
    size=st.sampled_from(SIZES),
    step=st.integers(0, 49),
    share=st.sampled_from([0.1, 0.5, 1.0]),
    data=st.data(),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_fresh_cache_equivalence_of_frames_and_tiles(
    model: SevaModel, clip: Clip, targets, inputs, size, step, share, data
) -> None:
    x, condition = clip(model, targets, inputs, size, seed=targets)
    frames = data.draw(st.sets(st.integers(0, len(x) - 1), min_size=1))
    tiles = tile_mask(x, model, share, seed=step)
    errors = fresh_cache_errors(model, x, step, condition, frames=sorted(frames), tiles=tiles)
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize(
    "options",
    [
        {"channel_mult": (1, 1, 1, 1), "attention_resolutions": (4, 2, 1)},  # the official levels
        {"transformer_depth": (1, 2)},
        {"keep_modulations": False, "channels_last": True},
    ],
)
def test_fresh_cache_equivalence_at_all_levels_depths_and_layouts(
    make: Callable[..., SevaModel], clip: Clip, options: dict[str, Any]
) -> None:
    model = make(**options)
    x, condition = clip(model, 2, 2, (128, 192))
    tiles = tile_mask(x, model, 0.4, seed=2)
    assert not tiles.all()
    errors = fresh_cache_errors(model, x, 20, condition, frames=[1, 3], tiles=tiles)
    assert max(errors.values()) < TOLERANCE, errors


def test_all_frames_active_equal_the_dense_pass(model: SevaModel, clip: Clip) -> None:
    x, condition = clip(model)
    stale, _ = clip(model, seed=1)
    cache = LatentCache()
    cache.begin_record(20)
    model.denoise(stale, 20, condition, RecordExecutor(len(x), cache))
    everything = FrameSubsetExecutor(len(x), cache, torch.arange(len(x)))
    partial = model.denoise(x, 21, condition, everything)
    dense = model.denoise(x, 21, condition, DenseExecutor(len(x)))
    assert relative_error(partial, dense) < TOLERANCE


def test_all_tiles_of_some_frames_equal_frame_mode_on_a_fresh_cache(
    model: SevaModel, clip: Clip
) -> None:
    x, condition = clip(model)
    frames = [1, 3]
    cache = LatentCache()
    cache.begin_record(20)
    model.denoise(x, 20, condition, RecordExecutor(len(x), cache, tiles=True))
    mask = tile_mask(x, model, 0.0, 0) & False
    mask[frames] = True
    sparse = BlockSparseExecutor(len(x), cache, TileSet.from_mask(mask))
    by_tiles = model.denoise(sparse.maps(x), 20, condition, sparse)
    subset = FrameSubsetExecutor(len(x), cache, torch.tensor(frames))
    by_frames = torch.zeros_like(x)
    by_frames[frames] = model.denoise(x[frames], 20, condition, subset)
    assert relative_error(by_tiles, sparse.maps(by_frames)) < TOLERANCE


@pytest.mark.parametrize("seed", [0, 1])
def test_several_stale_frame_steps_equal_the_oracle(
    model: SevaModel, clip: Clip, seed: int
) -> None:
    states = [clip(model, seed=seed + i)[0] for i in range(4)]
    _, condition = clip(model, seed=seed)
    count = len(states[0])
    cache, oracle = LatentCache(), StaleOracle(count)
    cache.begin_record(20)
    model.denoise(states[0], 20, condition, RecordExecutor(count, cache))
    model.denoise(states[0], 20, condition, oracle.full())
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    for age, x in enumerate(states[1:], 1):
        active = sorted(order[: 1 + age])
        subset = FrameSubsetExecutor(count, cache, torch.tensor(active))
        result = model.denoise(x[active], 20 + age, condition, subset)
        expected = model.denoise(x, 20 + age, condition, oracle.frames(active))[active]
        assert relative_error(result, expected) < TOLERANCE


@pytest.mark.parametrize("seed", [0, 1])
def test_several_stale_tile_steps_equal_the_oracle(model: SevaModel, clip: Clip, seed: int) -> None:
    states = [clip(model, seed=seed + i)[0] for i in range(4)]
    _, condition = clip(model, seed=seed)
    count = len(states[0])
    cache, oracle = LatentCache(), StaleOracle(count)
    cache.begin_record(20)
    model.denoise(states[0], 20, condition, RecordExecutor(count, cache, tiles=True))
    model.denoise(states[0], 20, condition, oracle.full())
    for age, x in enumerate(states[1:], 1):
        active = tile_mask(x, model, 0.25 * age, seed)
        sparse = BlockSparseExecutor(count, cache, TileSet.from_mask(active))
        result = model.denoise(sparse.maps(x), 20 + age, condition, sparse)
        expected = model.denoise(x, 20 + age, condition, oracle.tiles(active))
        assert relative_error(result, sparse.maps(expected)) < TOLERANCE


def test_what_is_constant_in_a_request_is_computed_once(model: SevaModel, clip: Clip) -> None:
    x, condition = clip(model)
    constants: dict[str, Tensor] = {}
    cache = LatentCache()
    cache.begin_record(20)
    model.denoise(x, 20, condition, RecordExecutor(len(x), cache, constants=constants))
    first = dict(constants)
    subset = FrameSubsetExecutor(len(x), cache, torch.tensor([1]), constants)
    model.denoise(x[:1], 21, condition, subset)
    assert constants.keys() == first.keys()
    assert all(constants[key] is first[key] for key in first)
    endings = {key.rsplit(".", 1)[1] for key in first if not key.startswith("pluecker")}
    assert endings == {"answer", "modulation"}
    modulations = [value for key, value in first.items() if key.endswith("modulation")]
    assert all(len(value) == len(x) for value in modulations), "once for both guidance branches"


def test_partial_steps_embed_the_time_once_whatever_the_rows(model: SevaModel, clip: Clip) -> None:
    x, condition = clip(model)
    rows: list[int] = []
    handle = model.network.time_embed.register_forward_hook(
        lambda module, inputs, out: rows.append(len(out))
    )
    model.denoise(x, 20, condition, DenseExecutor(len(x)))
    handle.remove()
    assert rows == [1]

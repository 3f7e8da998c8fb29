"""The law every backend must pass, on networks of any mixture of calls."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import KINDS, MixedModel, random_clip

from sphinx_framework.testing.oracle import RELATIVE_TOLERANCE, fresh_cache_errors

SIZES = st.tuples(st.sampled_from([4, 8, 12]), st.sampled_from([4, 8, 16]))
MIXTURES = st.lists(st.sampled_from(KINDS), min_size=1, max_size=5).map(tuple)


@st.composite
def cases(draw):
    frames = draw(st.integers(1, 5))
    size = draw(SIZES)
    active = draw(st.sets(st.integers(0, frames - 1), min_size=1))
    grid = (frames, size[0] // 4, size[1] // 4)
    cells = grid[0] * grid[1] * grid[2]
    chosen = draw(st.sets(st.integers(0, cells - 1), min_size=1))
    tiles = torch.zeros(cells, dtype=torch.bool)
    tiles[list(chosen)] = True
    return frames, size, sorted(active), tiles.view(grid)


@given(case=cases(), kinds=MIXTURES, branches=st.sampled_from([1, 2]), seed=st.integers(0, 99))
def test_a_fresh_cache_reproduces_the_dense_rows_of_any_network(case, kinds, branches, seed):
    frames, size, active, tiles = case
    model = MixedModel(kinds, branches=branches, seed=seed)
    x, condition = random_clip(frames, size, seed)

    errors = fresh_cache_errors(model, x, 7, condition, frames=active, tiles=tiles)

    assert max(errors.values()) <= RELATIVE_TOLERANCE, errors


@given(case=cases(), kinds=MIXTURES, branches=st.sampled_from([1, 2]))
def test_frame_subsets_need_no_recorded_tiles(case, kinds, branches):
    frames, size, active, _ = case
    model = MixedModel(kinds, branches=branches)
    x, condition = random_clip(frames, size)

    errors = fresh_cache_errors(model, x, 7, condition, frames=active)

    assert errors.keys() == {"record", "frames"}
    assert max(errors.values()) <= RELATIVE_TOLERANCE, errors


def test_the_whole_menu_of_calls_holds_on_a_wide_clip_of_many_frames():
    frames, size = 70, (4, 8)  # more frames than the short-sequence attention path takes
    model = MixedModel(KINDS, branches=2)
    x, condition = random_clip(frames, size)
    tiles = torch.rand(frames, 1, 2, generator=torch.Generator().manual_seed(0)) < 0.3

    errors = fresh_cache_errors(model, x, 20, condition, frames=range(0, frames, 3), tiles=tiles)

    assert max(errors.values()) <= RELATIVE_TOLERANCE, errors

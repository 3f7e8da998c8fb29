import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.executors.tiles import TileSet, gather, group_rows, scatter


@st.composite
def masks(draw):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)))
    count = shape[0] * shape[1] * shape[2]
    chosen = draw(st.sets(st.integers(0, count - 1), min_size=1))
    mask = torch.zeros(count, dtype=torch.bool)
    mask[list(chosen)] = True
    return mask.view(shape)


def numbered(frames, size, branches=1, channels=2):
    count = branches * frames * channels * size[0] * size[1]
    return torch.arange(float(count)).view(branches * frames, channels, *size)


@given(mask=masks())
def test_tiles_are_listed_row_major_within_ascending_frames(mask):
    tiles = TileSet.from_mask(mask)
    listed = list(zip(*(t.tolist() for t in (tiles.frame, tiles.row, tiles.column)), strict=True))
    assert listed == sorted(listed)
    assert listed == [tuple(index) for index in mask.nonzero().tolist()]
    assert len(tiles) == int(mask.sum())
    assert tiles.grid == tuple(mask.shape[1:])


@given(mask=masks(), branches=st.sampled_from([1, 2]), side=st.sampled_from([1, 2, 3]))
def test_gather_cuts_exactly_the_active_squares(mask, branches, side):
    frames, rows, columns = mask.shape
    maps = numbered(frames, (rows * side, columns * side), branches)
    tiles = TileSet.from_mask(mask)

    cut = gather(maps, tiles)

    assert cut.shape == (branches * len(tiles), 2, side, side)
    for branch in range(branches):
        for tile, (frame, row, column) in enumerate(mask.nonzero().tolist()):
            square = maps[
                branch * frames + frame,
                :,
                row * side : (row + 1) * side,
                column * side : (column + 1) * side,
            ]
            assert torch.equal(cut[branch * len(tiles) + tile], square)


@given(mask=masks(), branches=st.sampled_from([1, 2]))
def test_scatter_writes_what_gather_reads_and_nothing_else(mask, branches):
    frames, rows, columns = mask.shape
    maps = numbered(frames, (rows * 2, columns * 2), branches)
    before = maps.clone()
    tiles = TileSet.from_mask(mask)

    scatter(maps, -gather(maps, tiles), tiles)

    cells = mask.repeat_interleave(2, 1).repeat_interleave(2, 2).repeat(branches, 1, 1)[:, None]
    assert torch.equal(maps, torch.where(cells, -before, before))


@given(
    mask=masks(),
    branches=st.sampled_from([1, 2]),
    halo=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_window_numbers_find_tiles_with_their_surroundings(mask, branches, halo):
    frames, rows, columns = mask.shape
    maps = numbered(frames, (rows * 2, columns * 2), branches)
    canvas = torch.nn.functional.pad(maps, (halo[1], halo[1], halo[0], halo[0]))
    flat = canvas.permute(0, 2, 3, 1).flatten(0, 2)
    tiles = TileSet.from_mask(mask)
    extent = (2 + 2 * halo[0], 2 + 2 * halo[1])

    windows = flat[tiles.windows(branches, (2, 2), halo)].view(-1, *extent, 2)
    inner = flat[tiles.cells(branches, (2, 2), halo)].view(-1, 2, 2, 2)

    for number, (window, square) in enumerate(zip(windows, inner, strict=True)):
        branch, tile = divmod(number, len(tiles))
        frame, row, column = mask.nonzero()[tile].tolist()
        expected = canvas[branch * frames + frame, :, 2 * row : 2 * row + extent[0], 2 * column :][
            :, :, : extent[1]
        ].permute(1, 2, 0)
        assert torch.equal(window, expected)
        assert torch.equal(square, expected[halo[0] : halo[0] + 2, halo[1] : halo[1] + 2])


@given(mask=masks(), branches=st.sampled_from([1, 2]))
def test_column_numbers_find_each_distinct_place_in_all_frames(mask, branches):
    frames, rows, columns = mask.shape
    maps = numbered(frames, (rows * 2, columns * 2), branches)
    flat = maps.permute(0, 2, 3, 1).flatten(0, 2)
    tiles = TileSet.from_mask(mask)

    found = flat[tiles.columns(branches, (2, 2))]

    found = found.view(branches, -1, frames, 2, 2, 2)
    places = mask.any(0).nonzero().tolist()
    for branch in range(branches):
        for place, (row, column) in zip(found[branch], places, strict=True):
            clip = maps[branch * frames : (branch + 1) * frames]
            square = clip[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert torch.equal(place, square.permute(0, 2, 3, 1))


@given(keys=st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_grouping_finds_every_row_again(keys):
    rows = torch.tensor(keys)
    distinct, groups = group_rows(rows)
    assert distinct.tolist() == sorted(set(keys))
    found = groups.member.flatten()[groups.went]
    assert found.tolist() == list(range(len(keys)))
    for key, members in zip(distinct.tolist(), groups.member.tolist(), strict=True):
        assert {keys[m] for m in members} == {key}


def test_the_tile_set_of_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="at least one active tile"):
        TileSet.from_mask(torch.zeros(2, 2, 2, dtype=torch.bool))

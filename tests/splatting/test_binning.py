"""The lists of splats of every tile, against plain loops."""

import numpy as np
import pytest

pytest.importorskip("numba")

from sphinx_framework.splatting.cpu.binning import count_tiles, fill_tiles, sort_by_depth
from sphinx_framework.splatting.cpu.layout import HIDDEN


@pytest.mark.parametrize(
    ("down", "across", "splats", "lanes"), [(1, 1, 3, 1), (3, 5, 200, 1), (4, 2, 77, 3)]
)
def test_every_tile_lists_the_splats_that_reach_it_nearest_first(
    down: int, across: int, splats: int, lanes: int
) -> None:
    draw = np.random.default_rng(splats)
    columns = np.sort(draw.integers(0, across + 1, (splats, 2)), axis=1)
    rows = np.sort(draw.integers(0, down + 1, (splats, 2)), axis=1)
    boxes = np.concatenate((columns, rows), axis=1).astype(np.int16)
    depths = draw.integers(1, 9, splats).astype(np.float32)  # many are equal
    keys = depths.view(np.uint32).copy()
    keys[::7] = HIDDEN
    order = sort_by_depth(keys)
    drawn = [i for i in range(splats) if i % 7]
    assert order.tolist() == sorted(drawn, key=lambda i: (depths[i], i))

    counts = np.zeros((lanes, down * across), np.int64)
    for lane in range(lanes):
        count_tiles(order, boxes, across, (lane, lanes), counts)
    expected = [
        [
            i
            for i in order
            if boxes[i, 0] <= column < boxes[i, 1] and boxes[i, 2] <= row < boxes[i, 3]
        ]
        for row in range(down)
        for column in range(across)
    ]
    assert counts.sum(0).tolist() == [len(tile) for tile in expected]
    ends = np.cumsum(counts.T).reshape(-1, lanes).T
    places, entries = ends - counts, np.empty(counts.sum(), np.int32)
    for lane in range(lanes):
        fill_tiles(order, boxes, across, (lane, lanes), places, entries)
    assert entries.tolist() == [i for tile in expected for i in tile]

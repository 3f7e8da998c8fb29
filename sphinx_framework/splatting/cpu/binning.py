"""CPU kernels: depth order of the visible splats, and the list of splats of every tile."""

import numpy as np

from sphinx_framework.splatting.cpu.layout import BOTTOM, HIDDEN, LEFT, RIGHT, TOP, compiled

_DIGIT_BITS = np.uint32(11)
_DIGIT_MASK = np.uint32(2047)


@compiled
def sort_by_depth(keys: np.ndarray) -> np.ndarray:
    """Indices of all visible Gaussians, nearest first, equal depths by index.

    A stable radix sort in three passes of 11 bits; the bits of positive floats sort like numbers.
    """
    visible = 0
    for i in range(keys.shape[0]):
        if keys[i] != HIDDEN:
            visible += 1
    key, index = np.empty(visible, np.uint32), np.empty(visible, np.int32)
    next_key, next_index = np.empty(visible, np.uint32), np.empty(visible, np.int32)
    filled = 0
    for i in range(keys.shape[0]):
        if keys[i] != HIDDEN:
            key[filled] = keys[i]
            index[filled] = i
            filled += 1
    place = np.empty(_DIGIT_MASK + 1, np.int64)
    for digit in range(3):
        shift = np.uint32(digit) * _DIGIT_BITS
        place[:] = 0
        for i in range(visible):
            place[(key[i] >> shift) & _DIGIT_MASK] += 1
        before = 0
        for value in range(place.shape[0]):
            here = place[value]
            place[value] = before
            before += here
        for i in range(visible):
            value = (key[i] >> shift) & _DIGIT_MASK
            target = place[value]
            place[value] = target + 1
            next_key[target] = key[i]
            next_index[target] = index[i]
        key, next_key = next_key, key
        index, next_index = next_index, index
    return index


@compiled
def count_tiles(
    order: np.ndarray,
    tile_boxes: np.ndarray,
    tiles_across: int,
    share: tuple[int, int],
    counts: np.ndarray,
) -> None:
    """Count, per tile, the splats of one lane's stretch of the depth order.

    Only the corners of each box are marked (a loop over its tiles would be mispredicted once a
    splat); summed along rows, then columns, the marks are the counts.

    counts: ``[lanes, tiles]``; the lane's row is filled.
    """
    lane, lanes = share
    down = counts.shape[1] // tiles_across
    marks = np.zeros((down + 1, tiles_across + 1), np.int32)
    for i in range(lane * len(order) // lanes, (lane + 1) * len(order) // lanes):
        splat = order[i]
        left, right = tile_boxes[splat, LEFT], tile_boxes[splat, RIGHT]
        top, bottom = tile_boxes[splat, TOP], tile_boxes[splat, BOTTOM]
        marks[top, left] += 1
        marks[top, right] -= 1
        marks[bottom, left] -= 1
        marks[bottom, right] += 1
    for row in range(down):
        along = 0
        for column in range(tiles_across):
            along += marks[row, column]
            above = counts[lane, (row - 1) * tiles_across + column] if row > 0 else 0
            counts[lane, row * tiles_across + column] = above + along


@compiled
def fill_tiles(
    order: np.ndarray,
    tile_boxes: np.ndarray,
    tiles_across: int,
    share: tuple[int, int],
    places: np.ndarray,
    entries: np.ndarray,
) -> None:
    """Write one lane's splats into the tiles' lists, in depth order.

    places: ``[lanes, tiles]``, where the lane's part of every list begins; it is moved on.
    """
    lane, lanes = share
    mine = places[lane]
    for i in range(lane * len(order) // lanes, (lane + 1) * len(order) // lanes):
        splat = order[i]
        for row in range(tile_boxes[splat, TOP], tile_boxes[splat, BOTTOM]):
            for column in range(tile_boxes[splat, LEFT], tile_boxes[splat, RIGHT]):
                place = mine[row * tiles_across + column]
                entries[place] = splat
                mine[row * tiles_across + column] = place + 1

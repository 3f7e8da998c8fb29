"""CPU kernel: composite the splats of every tile front to back.

The splats of a tile are walked nearest first, and each is blended into the rows of the tile that
its ellipse touches. A row is 16 pixels wide and free of branches, so that the compiler turns it
into vector instructions.
"""

import numpy as np

from sphinx_framework.splatting.contract import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP
from sphinx_framework.splatting.cpu.layout import (
    BLUE,
    BOTTOM,
    DEPTH,
    GREEN,
    HALF_CONIC,
    HALF_YY,
    LEFT,
    LIMIT,
    MEAN_X,
    MEAN_Y,
    OPACITY,
    RED,
    SLOPE,
    SPLAT_WIDTH,
    TILE,
    TOP,
    compiled,
    compiled_fast,
)

# A row of the tile's buffer: 16 transmittances, then 16 sums of red, green, blue and depth. The
# sign of a transmittance marks a pixel that is finished (or outside the image).
_ROW = 5 * TILE
# The compiler must see that an offset is not negative to vectorise; all are below 16 rows.
_OFFSET_MASK = 2047
# Splats that are copied side by side at once; then the tile is asked whether it is finished.
_TOGETHER = 32
# Columns of such a copy beyond a splat's own: from the corner of the splat's box to the centre of
# the tile's first pixel.
_FROM_LEFT = SPLAT_WIDTH
_NEAR_WIDTH = SPLAT_WIDTH + 4

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_ALPHA_MIN = np.float32(ALPHA_MIN)
_ALPHA_MAX = np.float32(ALPHA_MAX)
_STOP = np.float32(TRANSMITTANCE_STOP)
# exp(-6) is below 1/255, so nothing is lost by clamping, and the polynomial need not go further.
# Powers are kept in sixteenths.
_LOWEST_POWER = np.float32(-6 / 16)
_SIXTEENTH = np.float32(1 / 16)
# Of exp(e) on [-6/16, 0], the polynomial 1 + e (C1 + e (C2 + ...)) with the least relative error.
_C1, _C2, _C3, _C4 = (
    np.float32(c)
    for c in (0.9999891258761613, 0.4997265410441601, 0.1644888706559813, 0.03466270521023388)
)


@compiled
def blend_tiles(
    splats: np.ndarray,
    boxes: np.ndarray,
    entries: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    background: np.ndarray,
    share: tuple[int, int],
    out: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Blend every ``lanes``-th tile.

    Args:
        splats: screen-space splats, see :mod:`.numba_kernels`.
        boxes: their pixel boxes.
        entries: splat indices of all tiles, one tile after the other, nearest first.
        bounds: where every tile's entries begin and end.
        background: RGB behind the splats.
        share: this lane and the number of lanes.
        out: image [3 H W], opacity [H W] and depth [H W] to fill.
    """
    starts, ends = bounds
    lane, lanes = share
    height, width = out[1].shape
    tiles_across = (width + TILE - 1) // TILE
    buffer = np.empty(TILE * _ROW, np.float32)
    near = np.empty((_TOGETHER, _NEAR_WIDTH), np.float32)
    rows = np.empty((_TOGETHER, 3), np.int32)
    for tile in range(lane, len(ends), lanes):
        top, left = tile // tiles_across * TILE, tile % tiles_across * TILE
        _clear(buffer, height - top, width - left)
        for first in range(starts[tile], ends[tile], _TOGETHER):
            last = min(first + _TOGETHER, ends[tile])
            _gather((splats, boxes), entries[first:last], (top, left), (near, rows))
            for nth in range(last - first):
                _blend_splat(near, rows, nth, buffer)
            if _is_finished(buffer):
                break
        _write(buffer, top, left, background, out)


@compiled_fast
def _gather(
    source: tuple[np.ndarray, np.ndarray],
    entries: np.ndarray,
    corner: tuple[int, int],
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Copy some splats of a tile side by side, so that the waits for memory overlap.

    Powers are divided by 16, which is exact and saves a multiplication a pixel. ``out``: splats,
    and of each the tile's rows that it may touch (end excluded) and the row where its box begins.
    """
    splats, boxes = source
    near, rows = out
    top, left = corner
    for nth in range(len(entries)):
        splat = entries[nth]
        for column in range(SPLAT_WIDTH):
            near[nth, column] = splats[splat, column]
        for column in (HALF_YY, HALF_CONIC, LIMIT):
            near[nth, column] *= _SIXTEENTH
        near[nth, _FROM_LEFT] = np.float32(left - boxes[splat, LEFT]) + _HALF
        rows[nth, 0] = max(boxes[splat, TOP] - top, 0)
        rows[nth, 1] = min(boxes[splat, BOTTOM] - top, TILE)
        rows[nth, 2] = boxes[splat, TOP] - top


@compiled_fast
def _blend_splat(near: np.ndarray, rows: np.ndarray, nth: int, buffer: np.ndarray) -> None:
    for row in range(rows[nth, 0], rows[nth, 1]):
        dy = np.float32(row - rows[nth, 2]) + _HALF - near[nth, MEAN_Y]
        power = near[nth, HALF_YY] * dy * dy
        rest = near[nth, LIMIT] - power
        if rest < _ZERO:
            continue
        first_x = near[nth, _FROM_LEFT] - near[nth, MEAN_X] - near[nth, SLOPE] * dy
        outside = max(first_x, -first_x - np.float32(TILE - 1), _ZERO)
        if near[nth, HALF_CONIC] * outside * outside > rest:
            continue
        _blend_row(near, nth, (power, first_x), row * _ROW, buffer)


@compiled_fast
def _blend_row(
    splats: np.ndarray,
    splat: int,
    line: tuple[np.float32, np.float32],
    offset: int,
    buffer: np.ndarray,
) -> None:
    """Blend one row; ``line``: its power on the ellipse's axis, its first pixel's place there."""
    power, first_x = line
    conic, opacity, depth = splats[splat, HALF_CONIC], splats[splat, OPACITY], splats[splat, DEPTH]
    red, green, blue = splats[splat, RED], splats[splat, GREEN], splats[splat, BLUE]
    offset &= _OFFSET_MASK
    for column in range(TILE):
        dx = first_x + np.float32(column)
        # exp(16 e) as (a polynomial of degree 4 at e)^16: relative error 2e-6 on [-6, 0].
        e = max(-power - conic * dx * dx, _LOWEST_POWER)
        root = _ONE + e * (_C1 + e * (_C2 + e * (_C3 + e * _C4)))
        root = root * root
        root = root * root
        root = root * root
        alpha = min(opacity * root * root, _ALPHA_MAX)
        alpha = alpha if alpha >= _ALPHA_MIN else _ZERO
        before = buffer[offset + column]
        light = max(before, _ZERO)
        weight = alpha * light
        after = light - weight
        stops = after < _STOP
        weight = _ZERO if stops else weight
        buffer[offset + column] = -abs(before) if stops else after
        buffer[offset + TILE + column] += weight * red
        buffer[offset + 2 * TILE + column] += weight * green
        buffer[offset + 3 * TILE + column] += weight * blue
        buffer[offset + 4 * TILE + column] += weight * depth


@compiled
def _clear(buffer: np.ndarray, rows: int, columns: int) -> None:
    """Start a tile: full light inside the image (its first rows and columns), finished outside."""
    buffer[:] = _ZERO
    for row in range(TILE):
        for column in range(TILE):
            inside = row < rows and column < columns
            buffer[row * _ROW + column] = _ONE if inside else -_ONE


@compiled
def _is_finished(buffer: np.ndarray) -> bool:
    for row in range(TILE):
        for column in range(TILE):
            if buffer[row * _ROW + column] > _ZERO:
                return False
    return True


@compiled
def _write(
    buffer: np.ndarray,
    top: int,
    left: int,
    background: np.ndarray,
    out: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    image, opacity, depth = out
    for row in range(min(TILE, opacity.shape[0] - top)):
        for column in range(min(TILE, opacity.shape[1] - left)):
            place = row * _ROW + column
            light = abs(buffer[place])
            for channel in range(3):
                colour = buffer[place + (channel + 1) * TILE] + light * background[channel]
                image[channel, top + row, left + column] = colour
            opacity[top + row, left + column] = _ONE - light
            depth[top + row, left + column] = buffer[place + 4 * TILE]

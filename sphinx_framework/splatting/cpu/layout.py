"""How the CPU kernels are compiled, and the memory layout they share."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

TILE = 16
"""Pixels along a tile's side; a row of a tile fills one AVX-512 or two AVX2 registers."""

HIDDEN = np.uint32(0xFFFFFFFF)
"""Depth key of a Gaussian that is not drawn; keys are the bits of positive float32 depths."""

# Columns of a splat (float32). The power of a Gaussian at a pixel is kept as a completed square,
# half_yy dy^2 + half_conic (dx - slope dy)^2, which stays accurate for needles.
MEAN_X, MEAN_Y = 0, 1  # Relative to the corner of the splat's box, so that small numbers are kept.
SLOPE = 2
HALF_YY = 3
HALF_CONIC = 4
LIMIT = 5  # Power at which the opacity falls to 1/255.
OPACITY = 6
RED, GREEN, BLUE = 7, 8, 9
DEPTH = 10
SPLAT_WIDTH = 12

# Columns of a box (int32 pixels, and int16 tiles), ends excluded.
LEFT, RIGHT, TOP, BOTTOM = 0, 1, 2, 3


def compiled(function: Function) -> Function:
    """Compile with numba: releases the GIL, cached on disk, IEEE arithmetic."""
    return cast(Function, njit(nogil=True, cache=True, error_model="numpy")(function))


def compiled_fast(function: Function) -> Function:
    """Like :func:`compiled`, but may fuse and reorder, and assumes no NaN: for vector loops."""
    return cast(
        Function, njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)
    )


def compiled_sum(function: Function) -> Function:
    """Like :func:`compiled`, but sums may be reordered; NaN and infinity stay what they are."""
    allowed = {"reassoc", "contract"}
    return cast(
        Function, njit(nogil=True, cache=True, error_model="numpy", fastmath=allowed)(function)
    )


def num_threads() -> int:
    """Threads to render on: ``NUMBA_NUM_THREADS``, by default the number of processors."""
    return int(getattr(numba.config, "NUMBA_NUM_THREADS", 1))

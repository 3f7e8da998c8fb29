"""The moments of a clip on a CPU: those of some rows written over, and folded to one factor a map.

A clip has a few numbers a group; every call of torch or NumPy takes longer than all of them.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    # What is not finite stays so: it is found where predictions are checked.
    return cast(Function, njit(nogil=True, cache=True, error_model="numpy")(function))


@_compiled
def folded(
    moments: np.ndarray,
    frames: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    affine: tuple[np.ndarray, np.ndarray],
    eps: float,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Renew a clip's moments and write scale and shift of its norm.

    moments: ``[g T k 2]``, mean and variance of every group. frames: ``[f]``, of the rows. rows:
    means and inverse deviations ``[gf k]``. affine: weight and bias ``[C]``. out: ``[g C]`` both.
    """
    branches, total, groups, _ = moments.shape
    means, inverses = rows
    weight, bias = affine
    scale, shift = out
    count, width = len(frames), len(weight) // groups
    for branch in range(branches):
        for i in range(count):
            for group in range(groups):
                inverse = inverses[branch * count + i, group]
                moments[branch, frames[i], group, 0] = means[branch * count + i, group]
                moments[branch, frames[i], group, 1] = 1.0 / (inverse * inverse)
        for group in range(groups):
            centre = variance = spread = 0.0
            for frame in range(total):
                centre += moments[branch, frame, group, 0]
                variance += moments[branch, frame, group, 1]
            centre /= total
            for frame in range(total):
                spread += (moments[branch, frame, group, 0] - centre) ** 2
            deviation = 1.0 / math.sqrt((variance + spread) / total + eps)
            for channel in range(group * width, (group + 1) * width):
                scale[branch, channel] = deviation * weight[channel]
                shift[branch, channel] = bias[channel] - centre * deviation * weight[channel]

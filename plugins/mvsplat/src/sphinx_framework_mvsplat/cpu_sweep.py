"""The plane sweep on a CPU: correlations with the cells that a ray passes, each computed once.

Along the depths of a pixel, neighbouring samples share cells of the other view: of all pairs of
cells some per cent are needed. The kernel releases the GIL and runs on threads of our own; every
pixel is one thread's, so that the bytes do not depend on their number.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.splatting.cpu.layout import compiled, compiled_sum

SMALLEST_Z = np.float32(1e-3)


def swept(
    reference: Float[Tensor, "p C"],
    source: Float[Tensor, "p C"],
    motion: tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]],
    inverse_depths: Float[Tensor, " D"],
    size: tuple[int, int],
) -> Float[Tensor, "p D"]:
    """Bilinear samples, at every depth, of a pixel's correlations with the source's cells.

    motion: pixels ``(x, y, 1)`` to rays of the source in pixels, and the shift at depth 1.
    size: rows and columns; outside of them everything correlates to zero.
    """
    volume = np.zeros((len(reference), len(inverse_depths)), np.float32)
    turn, shift, inverse = (part.float().contiguous().numpy() for part in (*motion, inverse_depths))
    features = reference.contiguous().numpy(), source.contiguous().numpy()
    lanes = torch.get_num_threads()

    def run(lane: int) -> None:
        _sweep(*features, turn, shift, inverse, size, (lane, lanes), volume)

    if lanes == 1:
        run(0)
    else:
        with ThreadPoolExecutor(max_workers=lanes) as pool:
            list(pool.map(run, range(lanes)))
    return torch.from_numpy(volume)


def warmed() -> None:
    """Compile the kernel, or read it from the disk's cache: a second and a half, once a machine."""
    cells = torch.zeros(4, 8)
    swept(cells, cells, (torch.eye(3), torch.zeros(3)), torch.ones(1), (2, 2))


@compiled_sum
def _product(reference: np.ndarray, source: np.ndarray, pixel: int, cell: int) -> np.float32:
    total = np.float32(0)
    for channel in range(reference.shape[1]):
        total += reference[pixel, channel] * source[cell, channel]
    return total


@compiled
def _sweep(
    reference: np.ndarray,
    source: np.ndarray,
    turn: np.ndarray,
    shift: np.ndarray,
    inverse: np.ndarray,
    size: tuple[int, int],
    share: tuple[int, int],
    volume: np.ndarray,
) -> None:
    """Fill the rows ``lane``, ``lane + lanes`` ... of the volume."""
    height, width = size
    met = np.full(height * width, -1, np.int32)  # the pixel that last met the cell
    known = np.empty(height * width, np.float32)  # its correlation with it
    for row in range(share[0], height, share[1]):
        for column in range(width):
            pixel = row * width + column
            ray_x = turn[0, 0] * column + turn[0, 1] * row + turn[0, 2]
            ray_y = turn[1, 0] * column + turn[1, 1] * row + turn[1, 2]
            ray_z = turn[2, 0] * column + turn[2, 1] * row + turn[2, 2]
            for plane in range(len(inverse)):
                z = max(ray_z / inverse[plane] + shift[2], SMALLEST_Z)
                x = (ray_x / inverse[plane] + shift[0]) / z
                y = (ray_y / inverse[plane] + shift[1]) / z
                if not (-1 < x < width and -1 < y < height):
                    continue
                left, top = math.floor(x), math.floor(y)
                total = 0.0
                for below in range(2):
                    of_row = y - top if below else 1 - (y - top)
                    for right in range(2):
                        r, c = top + below, left + right
                        if r < 0 or r >= height or c < 0 or c >= width:
                            continue
                        cell = r * width + c
                        if met[cell] != pixel:
                            met[cell] = pixel
                            known[cell] = _product(reference, source, pixel, cell)
                        total += of_row * (x - left if right else 1 - (x - left)) * known[cell]
                volume[pixel, plane] = total

"""A reader of ``.spz`` written from the format's public description alone, for its third version.

https://github.com/nianticlabs/spz: a gzip stream of a header and of one array after another, all
values of a kind together. A rotation is four bytes: which of x, y, z, w is the largest, and the
other three as a sign and nine bits of the most that they can be.
"""

import gzip
import struct
from pathlib import Path

import numpy as np

MAGIC, VERSION = 0x5053474E, 3
# Colours are scaled by this before they become bytes; logarithms of scales are in sixteenths.
COLOUR, SIXTEENTHS, LEAST = 0.15, 16.0, -10.0
COEFFICIENTS = {0: 0, 1: 3, 2: 8, 3: 15}


def read(path: Path) -> dict[str, np.ndarray]:
    """Positions, opacities, colours (degree 0), log scales, quaternions (w first), harmonics."""
    content = gzip.decompress(path.read_bytes())
    magic, version, count, degree, fraction, _, _ = struct.unpack_from("<IIIBBBB", content)
    assert (magic, version) == (MAGIC, VERSION)
    rest = np.frombuffer(content, np.uint8, offset=16)
    more = COEFFICIENTS[degree]
    sizes = [9, 1, 3, 3, 4, 3 * more]
    assert len(rest) == count * sum(sizes)
    places, alphas, colours, scales, turns, harmonics = (
        part.reshape(count, size).astype(np.int64)
        for part, size in zip(np.split(rest, np.cumsum(sizes)[:-1] * count), sizes, strict=True)
    )
    whole = places.reshape(count, 3, 3) @ np.array([1, 1 << 8, 1 << 16])
    whole = np.where(whole >= 1 << 23, whole - (1 << 24), whole)
    return {
        "places": whole / (1 << fraction),
        "opacities": alphas[:, 0] / 255,
        "colours": (colours / 255 - 0.5) / COLOUR,
        "log_scales": scales / SIXTEENTHS + LEAST,
        "quaternions": np.stack([_rotation(four) for four in turns]),
        "harmonics": (harmonics.reshape(count, more, 3) - 128) / 128,
    }


def _rotation(four: np.ndarray) -> np.ndarray:
    """Quaternion (w, x, y, z) of four bytes, the lowest first."""
    bits = int(four @ np.array([1, 1 << 8, 1 << 16, 1 << 24]))
    largest, found = bits >> 30, np.zeros(4)
    for place in (3, 2, 1, 0):
        if place != largest:
            size = (bits & 511) / 511 * np.sqrt(0.5)
            found[place] = -size if bits >> 9 & 1 else size
            bits >>= 10
    found[largest] = np.sqrt(max(0.0, 1 - (found**2).sum()))
    return np.roll(found, 1)

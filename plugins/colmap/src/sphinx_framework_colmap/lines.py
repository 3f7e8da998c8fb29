"""Straight lines of a photo, and how well three directions at right angles explain them."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

# Shorter ones, of the longer side, say little; more of them nothing new.
_SHORTEST, _MOST = 0.03, 300
# Pixels by which the detector misses an end; degrees by which what is built is not straight.
_END, _BUILT = 0.7, 0.3
# The share of lines that follow none of the directions, before any was looked at.
STRAY = 0.4
_STRAY_DENSITY = STRAY / np.pi


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Line segments of one photo, in pixels from its centre (x right, y down).

    normals: ``(a, b, c)`` of ``a x + b y + c = 0`` with ``a^2 + b^2 = 1``. middles: their middles.
    sigmas: how far a segment may turn from where it points, radians.
    """

    normals: Float[np.ndarray, "L 3"]
    middles: Float[np.ndarray, "L 2"]
    sigmas: Float[np.ndarray, " L"]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.sigmas)


def find_lines(photo: UInt8[np.ndarray, "H W 3"]) -> Lines:
    """The longest straight lines of a photo."""
    grey = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)
    # None where there are no lines, which its types do not say.
    found: Any = cv2.createLineSegmentDetector().detect(grey)[0]
    ends = np.zeros((0, 4)) if found is None else np.asarray(found, np.float64).reshape(-1, 4)
    height, width = grey.shape
    # The detector counts from the middle of the first pixel.
    return lines_between(ends + 0.5 - 0.5 * np.array([width, height] * 2), max(height, width))


def lines_between(ends: Float[np.ndarray, "L 4"], side: int) -> Lines:
    """Lines from their ends ``(x, y, x, y)`` in pixels from the centre of a photo of this side."""
    along = ends[:, 2:] - ends[:, :2]
    lengths = np.hypot(along[:, 0], along[:, 1])
    kept = np.argsort(-lengths, kind="stable")[:_MOST]
    kept = kept[lengths[kept] > _SHORTEST * side]
    along, lengths = along[kept] / lengths[kept, None], lengths[kept]
    middles = (ends[kept, :2] + ends[kept, 2:]) / 2
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normals = np.concatenate([across, -(across * middles).sum(axis=1, keepdims=True)], axis=1)
    sigmas = np.hypot(_END * np.sqrt(3) / lengths, np.radians(_BUILT))
    return Lines(normals=normals, middles=middles, sigmas=sigmas)


def misses(
    lines: Lines, axes: Float[np.ndarray, "B 3 3"], focal: float
) -> tuple[Float[np.ndarray, "B 3 L"], Float[np.ndarray, "B 3 L"]]:
    """Sine of the angle by which every line misses every direction's vanishing point.

    axes: rows are directions in the camera. Returns those, and how far the points lie: what a
    direction's turn is divided by to be the sine's.
    """
    seen = axes * np.array([focal, focal, 1.0])
    x, y, z = seen[..., 0, None], seen[..., 1, None], seen[..., 2, None]
    reach = np.hypot(x - z * lines.middles[:, 0], y - z * lines.middles[:, 1])
    reach = np.maximum(reach, 1e-9)
    return seen @ lines.normals.T / reach, reach


def densities(lines: Lines, missed: Float[np.ndarray, "B 3 L"]) -> Float[np.ndarray, "B 3 L"]:
    """How likely every direction makes every line, times the direction's share."""
    likely = np.exp(-0.5 * (missed / lines.sigmas) ** 2)
    shares: Float[np.ndarray, "B 3 L"] = likely * (
        (1 - STRAY) / 3 / np.sqrt(2 * np.pi) / lines.sigmas
    )
    return shares


def likelihood(density: Float[np.ndarray, "B 3 L"]) -> Float[np.ndarray, " B"]:
    """Logarithm of how likely all lines are, some of them strays."""
    total: Float[np.ndarray, " B"] = np.log(density.sum(axis=1) + _STRAY_DENSITY).sum(axis=-1)
    return total


def followed(density: Float[np.ndarray, "B 3 L"]) -> Float[np.ndarray, "B 3 L"]:
    """How surely every line follows every direction, 0 to 1."""
    sure: Float[np.ndarray, "B 3 L"] = density / (
        density.sum(axis=1, keepdims=True) + _STRAY_DENSITY
    )
    return sure

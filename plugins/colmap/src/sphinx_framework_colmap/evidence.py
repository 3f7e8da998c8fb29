"""What one kind of evidence says about a focal length, and two kinds weighed against each other."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from sphinx_framework_colmap.lines import find_lines
from sphinx_framework_colmap.manhattan import focal_of_lines

# Photos of one place show the same lines: more of them say nothing new.
_MOST = 6
# By how much lenses and centres that are no pinhole's move what lines say (docs/poses.md).
_LENS = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A focal length in pixels, and the error of its logarithm that is to be reckoned with."""

    focal: float
    error: float


def said_by_lines(photos: UInt8[np.ndarray, "N H W 3"]) -> Said | None:
    """What straight lines say; ``None`` where most photos are not of something right-angled."""
    looked = photos[np.unique(np.linspace(0, len(photos) - 1, _MOST).round().astype(int))]
    side = max(photos.shape[1:3])
    asked = [focal_of_lines(find_lines(photo), side) for photo in looked]
    told = [one for one in asked if one is not None and one.believed]
    if 2 * len(told) <= len(looked):
        return None
    logs = np.log([one.focal for one in told])
    width = float(np.median([one.width for one in told]))
    error = max(math.hypot(width, _LENS), float(np.ptp(logs)) / 2)
    return Said(focal=float(np.exp(np.median(logs))), error=error)


def weighed(one: Said, other: Said) -> Said | None:
    """Both together, the surer one more; ``None`` where they contradict each other."""
    apart = math.log(other.focal / one.focal)
    if abs(apart) > one.error + other.error:
        return None
    share = one.error**2 / (one.error**2 + other.error**2)
    error = one.error * other.error / math.hypot(one.error, other.error)
    return Said(focal=one.focal * math.exp(share * apart), error=error)

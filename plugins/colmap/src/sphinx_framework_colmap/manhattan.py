"""The focal length at which a photo's lines follow three directions at right angles.

What people build does: walls, windows, shelves, tiles. A direction's lines meet in the photo in a
vanishing point; only with the right focal length are three such points at right angles as seen from
the camera. One photo says it, whether the camera turns or not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sphinx_framework_colmap.lines import Lines, densities, followed, likelihood, misses

# Of the longer side: the focal lengths that are tried, with steps of some 9 %, then of 2 %.
_BOUNDS, _COARSE, _FINE = (0.28, 2.2), 25, 9
_GUESSES, _BEST, _ROUNDS = 200, 4, 8
# Of the logarithm: two standard deviations; what both ends must lie below the best.
_WIDE, _ENDS = 2.0, 4.5
# A photo's lines are believed where four of five follow the directions, twelve or more each, and
# the directions, each let go on its own, would explain them hardly better.
_SHARE, _FAMILY, _GAIN = 0.8, 12.0, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFocal:
    """What a photo's lines say about its focal length.

    focal: in pixels. width: two standard deviations of its logarithm. share: of the lines that
    follow one of the directions. family: how many follow the one with the fewest. gain: by how much
    the logarithm of the likelihood rises when the directions need not stand at right angles.
    bounded: whether shorter and longer ones than all that were tried explain the lines worse.
    """

    focal: float
    width: float
    share: float
    family: float
    gain: float
    bounded: bool

    @property
    def believed(self) -> bool:
        """Whether the lines are those of something built at right angles."""
        return (
            self.bounded and self.share >= _SHARE and self.family >= _FAMILY and self.gain <= _GAIN
        )


def focal_of_lines(lines: Lines, side: float) -> LineFocal | None:
    """The focal length of a photo with this longer side; ``None`` for too few lines."""
    if len(lines) < 3 * _FAMILY:
        return None
    random = np.random.default_rng(0)
    coarse = side * np.geomspace(*_BOUNDS, _COARSE)
    values, axes = _sweep(lines, coarse, [_guesses(lines, focal, random) for focal in coarse])
    best = int(np.argmax(values))
    near = [max(best - 1, 0), min(best + 1, _COARSE - 1)]
    fine = np.geomspace(coarse[near[0]], coarse[near[1]], _FINE)
    close, turned = _sweep(lines, fine, [axes[[near[0], best, near[1]]]] * _FINE)
    top = int(np.argmax(close))
    focal = float(fine[top])
    missed, _ = misses(lines, turned[top : top + 1], focal)
    sure = followed(densities(lines, missed))[0]
    _, free = _refine(lines, turned[top : top + 1], focal, apart=True)
    return LineFocal(
        focal=focal,
        width=_width(np.concatenate([coarse, fine]), np.concatenate([values, close])),
        share=float(sure.sum() / len(lines)),
        family=float(sure.sum(axis=1).min()),
        gain=float(free[0] - close[top]),
        bounded=bool(max(values[0], values[-1]) < close[top] - _ENDS),
    )


def _width(focals: Float[np.ndarray, " F"], values: Float[np.ndarray, " F"]) -> float:
    """Half of the logarithmic range, one step wider, in which the likelihood falls by no more."""
    order = np.argsort(focals, kind="stable")
    logs, values = np.log(focals[order]), values[order]
    kept = np.flatnonzero(values > values.max() - _WIDE)
    low, high = max(kept[0] - 1, 0), min(kept[-1] + 1, len(logs) - 1)
    return float(logs[high] - logs[low]) / 2


def _guesses(lines: Lines, focal: float, random: np.random.Generator) -> Float[np.ndarray, "B 3 3"]:
    """The best triples of directions that three lines each make, two of which are parallel."""
    planes = lines.normals * np.array([focal, focal, 1.0])
    planes = planes / np.linalg.norm(planes, axis=1, keepdims=True)
    weight = 1 / lines.sigmas
    chosen = random.choice(len(lines), (_GUESSES, 3), p=weight / weight.sum())
    one = _unit(np.cross(planes[chosen[:, 0]], planes[chosen[:, 1]]))
    two = _unit(np.cross(planes[chosen[:, 2]], one))
    axes = np.stack([one, two, np.cross(one, two)], axis=1)
    values = likelihood(densities(lines, misses(lines, axes, focal)[0]))
    # Of two equal lines, or one through the direction of the others, there is no triple.
    values[~(np.abs(np.linalg.norm(axes, axis=2) - 1) < 1e-6).all(axis=1)] = -np.inf
    return axes[np.argsort(-values, kind="stable")[:_BEST]]


def _unit(vectors: Float[np.ndarray, "B 3"]) -> Float[np.ndarray, "B 3"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float[np.ndarray, "B 3"] = np.where(lengths > 1e-6, vectors, 0) / np.maximum(
        lengths, 1e-6
    )
    return unit


def _sweep(
    lines: Lines, focals: Float[np.ndarray, " F"], begins: list[Float[np.ndarray, "B 3 3"]]
) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, "F 3 3"]]:
    """The best directions for every focal length, those of its neighbours tried too."""
    values, axes = np.full(len(focals), -np.inf), np.tile(np.eye(3), (len(focals), 1, 1))
    upwards, downwards = range(len(focals)), range(len(focals) - 2, -1, -1)
    for order, before in ((upwards, -1), (downwards, 1)):
        for index in order:
            neighbour = (
                axes[index + before : index + before + 1] if index + before >= 0 else axes[:0]
            )
            tried = np.concatenate([begins[index], neighbour]) if before < 0 else neighbour
            found, value = _refine(lines, tried, float(focals[index]))
            top = int(np.argmax(value))
            if value[top] > values[index]:
                values[index], axes[index] = value[top], found[top]
    return values, axes


def _refine(
    lines: Lines, axes: Float[np.ndarray, "B 3 3"], focal: float, *, apart: bool = False
) -> tuple[Float[np.ndarray, "B 3 3"], Float[np.ndarray, " B"]]:
    """Turn directions to where the lines are likeliest; ``apart``: each on its own.

    Expectation maximisation: lines are shared out among the directions, then one step of
    Gauss-Newton turns these. Returns the best on the way, and how likely they are.
    """
    planes = lines.normals * np.array([focal, focal, 1.0])
    best, value = axes, np.full(len(axes), -np.inf)
    for _ in range(_ROUNDS + 1):
        missed, reach = misses(lines, axes, focal)
        density = densities(lines, missed)
        now = likelihood(density)
        better = now > value
        best = np.where(better[:, None, None], axes, best)
        value = np.where(better, now, value)
        weight = followed(density) / lines.sigmas**2
        slope = np.cross(axes[:, :, None], planes) / reach[..., None]
        square = np.einsum("bkn,bkni,bknj->bkij", weight, slope, slope)
        pull = np.einsum("bkn,bkn,bkni->bki", weight, missed, slope)
        if not apart:
            square, pull = square.sum(axis=1, keepdims=True), pull.sum(axis=1, keepdims=True)
        ridge = 1e-6 * np.trace(square, axis1=-2, axis2=-1)[..., None, None] + 1e-9
        turn = -np.linalg.solve(square + ridge * np.eye(3), pull[..., None])[..., 0]
        axes = _turned(axes, np.broadcast_to(turn, axes.shape))
    return best, value


def _turned(
    axes: Float[np.ndarray, "B 3 3"], turns: Float[np.ndarray, "B 3 3"]
) -> Float[np.ndarray, "B 3 3"]:
    """Every direction turned about its own rotation vector, by half a radian at most."""
    angle = np.linalg.norm(turns, axis=-1, keepdims=True)
    about = turns / np.maximum(angle, 1e-12)
    angle = np.minimum(angle, 0.5)
    along = (about * axes).sum(axis=-1, keepdims=True) * about
    turned: Float[np.ndarray, "B 3 3"] = (
        along + (axes - along) * np.cos(angle) + np.cross(about, axes) * np.sin(angle)
    )
    return turned

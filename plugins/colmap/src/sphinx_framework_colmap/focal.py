"""The focal length of photos that do not say it: looked for from both sides.

The mapper holds one focal length, a bundle adjustment says where it wants to go, and the mapper
runs again with that. Where photos settle it, a short and a long beginning arrive at the same place.
On a straight track they do not: every focal length explains the photos with other depths. What is
left there are the few degrees by which the views turn, and a lens is no pinhole to that accuracy:
such photos agree on a focal length that is wrong. So views that turn little settle nothing by
themselves: there, straight lines are asked what they say.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sphinx_framework_colmap.evidence import Said, weighed
from sphinx_framework_colmap.mapping import Mapped

# Of the longer side: where the search begins, and where it ends.
_STARTS = (0.45, 0.75)
_BOUNDS = (0.3, 2.0)
_ROUNDS = 5
_STEP = 1.5
_SETTLED, _AGREE = math.log(1.02), math.log(1.05)
# Relative error times the degrees between the views that turn most, the worst of 25 sets of posed
# photos (docs/poses.md), and the error up to which a focal length counts as settled.
_ERROR_BY_TURN, _ACCURATE = 0.7, 0.07
# A step that loses this share of the support leads to a collapsed model.
_LOSS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFocal:
    """A focal length and the model that it makes.

    between: the focal lengths that explain the photos about as well, where they do not settle it.
    turn: degrees between the views that turn most, where that is why.
    """

    model: Mapped
    between: tuple[float, float] | None = None
    turn: float | None = None

    @property
    def settled(self) -> bool:
        """Whether the photos say what it is."""
        return self.between is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    best: Mapped
    last: Mapped
    arrived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """What the motion of the camera says: a model, and between what it leaves the focal length."""

    best: Mapped
    low: float
    high: float
    agreed: bool

    @property
    def turn(self) -> float:
        return largest_turn(self.best)

    @property
    def said(self) -> Said:
        # What two searches found says less than what views that turn so little can tell at all.
        error = _error_of(self.turn) + math.log(self.high / self.low) / 2
        return Said(focal=math.sqrt(self.low * self.high), error=error)


def find_focal(
    run: Callable[[float], Mapped | None],
    side: float,
    guess: float,
    stated: float | None,
    lines: Callable[[], Said | None] = lambda: None,
) -> FoundFocal | None:
    """Find the focal length, in pixels; ``None`` where no focal length makes a model.

    run: maps the photos with a focal length held. side: the photos' longer side.
    guess: taken, as near as the photos allow, when they do not settle it.
    stated: what EXIF says; the only beginning, and kept unless the photos settle on another.
    lines: what straight lines say; asked where the motion of the camera settles nothing.
    """
    starts = [side * start for start in _STARTS] if stated is None else [stated]
    bounds = (side * _BOUNDS[0], side * _BOUNDS[1])
    walks = [walk for walk in (_walk(run, start, bounds) for start in starts) if walk is not None]
    if not walks:
        return None
    photos = max(len(walk.best.poses) for walk in walks)
    moved = _moved([walk for walk in walks if len(walk.best.poses) == photos])
    if moved.agreed and moved.said.error <= _ACCURATE:
        return FoundFocal(model=moved.best)
    built = lines()
    both = None if built is None else weighed(moved.said, built)
    sure = both is not None and both.error <= _ACCURATE
    if stated is not None and not (sure and _differs(stated, both)):
        wanted = stated
    elif both is not None:
        wanted = both.focal
    else:
        wanted = moved.best.focal if moved.agreed else min(max(guess, moved.low), moved.high)
    model = moved.best if wanted == moved.best.focal else run(wanted)
    if model is None or len(model.poses) < photos:
        model, sure = moved.best, False
    turn = moved.turn if _error_of(moved.turn) > _ACCURATE else None
    between = None if sure else _between(model, moved, built, both)
    return FoundFocal(model=model, between=between, turn=turn)


def _moved(walks: list[_Walk]) -> _Moved:
    """What the searches arrived at, or between what they stayed."""
    if all(walk.arrived for walk in walks) and _near(walks[0].last, walks[-1].last):
        best = max((walk.last for walk in walks), key=lambda model: model.support)
        return _Moved(best=best, low=best.focal, high=best.focal, agreed=True)
    best = max((walk.best for walk in walks), key=lambda model: model.support)
    ends = [walk.last.refined if walk.arrived else walk.last.focal for walk in walks]
    ends += [walk.best.focal for walk in walks]
    return _Moved(best=best, low=min(ends), high=max(ends), agreed=False)


def _differs(stated: float, said: Said | None) -> bool:
    return said is not None and abs(math.log(stated / said.focal)) > said.error


def _between(
    model: Mapped, moved: _Moved, lines: Said | None, both: Said | None
) -> tuple[float, float]:
    """The focal lengths that the photos leave; those of both kinds of evidence if they differ."""
    error = _error_of(largest_turn(model)) if both is None else min(both.error, 0.5)
    ends = [model.focal * (1 - error), model.focal * (1 + error)]
    if both is None:
        ends += [moved.low, moved.high] + ([] if lines is None else [lines.focal])
    return min(ends), max(ends)


def _error_of(turn: float) -> float:
    """The relative error that a focal length of views that turn so little may have."""
    return min(0.5, _ERROR_BY_TURN / max(turn, 1e-3))


def largest_turn(model: Mapped) -> float:
    """Degrees between the two views whose optical axes differ most; rolls say nothing."""
    axes = np.stack([pose[:3, 2] for pose in model.poses.values()])
    return float(np.degrees(np.arccos(np.clip(axes @ axes.T, -1, 1))).max())


def _walk(
    run: Callable[[float], Mapped | None], start: float, bounds: tuple[float, float]
) -> _Walk | None:
    """Follow the bundle adjustment until it stays where it is."""
    best: Mapped | None = None
    last: Mapped | None = None
    focal = start
    for _ in range(_ROUNDS):
        model = run(focal)
        if model is None:
            break
        if last is not None and _lost(model, last):
            break
        last = model
        if best is None or (len(model.poses), model.support) > (len(best.poses), best.support):
            best = model
        if abs(math.log(model.refined / focal)) < _SETTLED:
            return _Walk(best=best, last=last, arrived=True)
        limited = min(max(model.refined, focal / _STEP), focal * _STEP)
        focal = min(max(limited, bounds[0]), bounds[1])
        if focal == last.focal:
            break
    if best is None or last is None:
        return None
    return _Walk(best=best, last=last, arrived=False)


def _lost(model: Mapped, before: Mapped) -> bool:
    if len(model.poses) != len(before.poses):
        return len(model.poses) < len(before.poses)
    return model.support < (1 - _LOSS) * before.support


def _near(one: Mapped, other: Mapped) -> bool:
    return abs(math.log(one.focal / other.focal)) < _AGREE

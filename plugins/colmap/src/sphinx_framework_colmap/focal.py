"""The focal length of photos that do not say it: looked for from both sides.

The mapper holds one focal length, a bundle adjustment says where it wants to go, and the mapper
runs again with that. Where photos settle it, a short and a long beginning arrive at the same place.
On a straight track they do not: every focal length explains the photos with other depths. What is
left there are the few degrees by which the views turn, and a lens is no pinhole to that accuracy:
such photos agree on a focal length that is wrong. So views that turn little settle nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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


def find_focal(
    run: Callable[[float], Mapped | None], side: float, guess: float, stated: float | None
) -> FoundFocal | None:
    """Find the focal length, in pixels; ``None`` where no focal length makes a model.

    run: maps the photos with a focal length held. side: the photos' longer side.
    guess: taken, as near as the photos allow, when they do not settle it.
    stated: what EXIF says; the only beginning, and kept unless the photos settle on another.
    """
    starts = [side * start for start in _STARTS] if stated is None else [stated]
    bounds = (side * _BOUNDS[0], side * _BOUNDS[1])
    walks = [walk for walk in (_walk(run, start, bounds) for start in starts) if walk is not None]
    if not walks:
        return None
    photos = max(len(walk.best.poses) for walk in walks)
    walks = [walk for walk in walks if len(walk.best.poses) == photos]
    if all(walk.arrived for walk in walks) and _near(walks[0].last, walks[-1].last):
        return _judged(run, max((walk.last for walk in walks), key=lambda m: m.support), stated)
    best = max((walk.best for walk in walks), key=lambda model: model.support)
    ends = [walk.last.refined if walk.arrived else walk.last.focal for walk in walks]
    ends += [walk.best.focal for walk in walks]
    low, high = min(ends), max(ends)
    wanted = stated if stated is not None else min(max(guess, low), high)
    model = run(wanted)
    if model is None or len(model.poses) < photos:
        model = best
    # What two searches found says less than what views that turn so little can tell at all.
    turn = largest_turn(model)
    error = _error_of(turn)
    between = (min(low, model.focal * (1 - error)), max(high, model.focal * (1 + error)))
    return FoundFocal(model=model, between=between, turn=turn if error > _ACCURATE else None)


def _judged(
    run: Callable[[float], Mapped | None], model: Mapped, stated: float | None
) -> FoundFocal:
    """A model on which both searches agree, settled only where its views turn enough."""
    turn = largest_turn(model)
    error = _error_of(turn)
    if error <= _ACCURATE:
        return FoundFocal(model=model)
    between = (model.focal * (1 - error), model.focal * (1 + error))
    kept = None if stated is None else run(stated)
    if kept is not None and len(kept.poses) == len(model.poses):
        model = kept
    return FoundFocal(model=model, between=between, turn=turn)


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

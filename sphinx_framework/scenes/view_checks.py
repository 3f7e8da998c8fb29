"""Whether photos and cameras agree: features of two photos against where their cameras put them.

A pose convention that was named wrongly, photos in another order than their poses, or intrinsics of
another lens: all move the line on which a feature of one photo must lie in the other. What fits
under another convention is named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.geometry.frusta import focus_side
from sphinx_framework.scenes.poses import PoseConvention

CHOOSE = "--convention"
# Photos are looked at this small, and lines may be missed by this share of the longer side.
_SIDE, _FEATURES = 384, 1000
_MISS, _LEAST_MISS = 0.004, 1.5
_RATIO = 0.8
_LEAST_MATCHES = 20
# So many features of all pairs together tell too, where this share of them fits.
_FEW, _MOST_FIT = 8, 0.7
# Shares of the matches: what the right cameras reach, and what wrong ones may of it.
_FITS, _WRONG = 0.4, 0.5
# Photos whose own geometry holds together this well, and cameras that explain almost nothing.
_ONE_GEOMETRY, _NONE = 0.6, 0.1
_MANY_MATCHES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A photo and its camera.

    image: loads the photo, RGB in [0, 1]. intrinsics: in its pixels, float64.
    pose: camera-to-world, 4x4 float64, OpenCV axes, as it was read.
    readings: what it is under the other conventions, where the file leaves that open.
    """

    image: Callable[[], Float[Tensor, "3 H W"]]
    intrinsics: Float[Tensor, "3 3"]
    pose: Float[Tensor, "4 4"]
    readings: Mapping[PoseConvention, Float[Tensor, "4 4"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Features:
    places: Float[np.ndarray, "M 2"]
    marks: Float[np.ndarray, "M 128"]
    longest: int


def view_doubts(inputs: Sequence[View], others: Sequence[View] = ()) -> tuple[str, ...]:
    """The doubt about cameras that do not fit their photos, one sentence or none.

    The first pair of photos that any reading of the poses explains decides; where there is none,
    the directions in which the inputs look. others: photos of targets, in their order.
    """
    found: dict[int, _Features] = {}
    views = [*inputs, *others]
    unexplained = ""
    fits = dict.fromkeys(("", *views[0].readings), 0.0) if views else {}
    few = 0
    for pair in _pairs(len(inputs), len(others)):
        for index in pair:
            if index not in found:
                found[index] = _features(views[index].image())
        first, second = (found[index] for index in pair)
        one, other = _matches(first, second)
        if not len(one):
            continue
        miss = max(_LEAST_MISS, _MISS * max(first.longest, second.longest))
        shares = _shares(one, other, views[pair[0]], views[pair[1]], miss)
        if len(one) < _LEAST_MATCHES:
            few += len(one)
            fits = {name: fits.get(name, 0.0) + len(one) * shares[name] for name in shares}
            continue
        if max(shares.values()) >= _FITS:
            return _other_reading(shares, len(one))
        used = shares[""]
        if used < _NONE and len(one) >= _MANY_MATCHES:
            alone = _own_share(one, other, miss)
            unexplained = _unexplained(used, len(one)) if alone > _ONE_GEOMETRY else unexplained
    if unexplained:
        return (unexplained,)
    # Each pair has too few features to tell, those of all pairs together may be enough.
    if few >= _FEW and max(fits.values()) >= _MOST_FIT * few:
        return _other_reading({name: fit / few for name, fit in fits.items()}, few)
    return _directions(inputs)


def _pairs(inputs: int, others: int) -> list[tuple[int, int]]:
    """Pairs to look at: the first input with the next one, and with ever nearer targets."""
    pairs = [(0, 1)] if inputs > 1 else []
    places = sorted({others // part for part in (2, 4, 8, others or 1)}, reverse=True)
    return pairs + [(0, inputs + place) for place in places if place < others]


def _directions(inputs: Sequence[View]) -> tuple[str, ...]:
    """Inputs that look away from each other, and under another convention at one place."""
    if len(inputs) < 2 or focus_side(torch.stack([view.pose for view in inputs])) >= 0:
        return ()
    for name in inputs[0].readings:
        if not all(name in view.readings for view in inputs):
            continue
        if focus_side(torch.stack([view.readings[name] for view in inputs])) > 0:
            return (
                "the inputs look away from each other: their optical axes meet behind all of the "
                f"cameras, and in front of them as {name}; are the poses in that convention? "
                f"({CHOOSE} {name})",
            )
    return ()


def _shares(
    one: Float[np.ndarray, "M 2"],
    other: Float[np.ndarray, "M 2"],
    first: View,
    second: View,
    miss: float,
) -> dict[str, float]:
    """What share of the matches each reading of the poses explains; "" is the one that counts."""
    lenses = (first.intrinsics, second.intrinsics)
    poses = {"": (first.pose, second.pose)}
    both = [name for name in first.readings if name in second.readings]
    poses |= {name: (first.readings[name], second.readings[name]) for name in both}
    return {name: _share(one, other, lenses, pair, miss) for name, pair in poses.items()}


def _other_reading(shares: Mapping[str, float], matches: int) -> tuple[str, ...]:
    used = shares[""]
    best = max(shares, key=lambda name: shares[name])
    if used > _WRONG * shares[best]:
        return ()
    return (
        f"the photos do not fit the cameras as they were read ({used:.0%} of {matches} features "
        f"that two of them share), and fit them as {best} ({shares[best]:.0%}): are the poses in "
        f"that convention? ({CHOOSE} {best})",
    )


def _unexplained(used: float, matches: int) -> str:
    return (
        f"the photos do not fit their cameras: {used:.0%} of {matches} features that two of them "
        "share lie where the cameras put them. Are the photos in the order of the poses, and the "
        "poses and intrinsics theirs?"
    )


def _features(image: Float[Tensor, "3 H W"]) -> _Features:
    import cv2

    grey = (image.detach().cpu().clamp(0, 1).mean(dim=0) * 255).byte().numpy()
    scale = min(1.0, _SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT_create(_FEATURES, contrastThreshold=0.01)  # type: ignore[attr-defined]
    points, marks = sift.detectAndCompute(small, None)
    if marks is None:
        return _Features(
            places=np.zeros((0, 2)), marks=np.zeros((0, 128), np.float32), longest=max(grey.shape)
        )
    # OpenCV counts from the middle of the first pixel, our cameras from its corner.
    places = (np.array([point.pt for point in points]) + 0.5) / scale
    return _Features(places=places, marks=marks, longest=max(grey.shape))


def _matches(
    first: _Features, second: _Features
) -> tuple[Float[np.ndarray, "M 2"], Float[np.ndarray, "M 2"]]:
    """Places of features that are each other's nearest, and clearly so."""
    if min(len(first.places), len(second.places)) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    likeness = first.marks @ second.marks.T
    squares = (first.marks**2).sum(1)[:, None] + (second.marks**2).sum(1)[None] - 2 * likeness
    nearest = squares.argmin(axis=1)
    two = np.partition(squares, 1, axis=1)[:, :2].clip(0)
    mutual = squares.argmin(axis=0)[nearest] == np.arange(len(nearest))
    kept = mutual & (two[:, 0] < _RATIO**2 * two[:, 1])
    return first.places[kept], second.places[nearest[kept]]


def _share(
    one: Float[np.ndarray, "M 2"],
    other: Float[np.ndarray, "M 2"],
    lenses: tuple[Float[Tensor, "3 3"], Float[Tensor, "3 3"]],
    poses: tuple[Float[Tensor, "4 4"], Float[Tensor, "4 4"]],
    miss: float,
) -> float:
    """Share of matches that can be the pictures of one point before both cameras.

    They lie on each other's epipolar lines, and the rays meet in front; or they stand where a very
    distant point does, whose side nothing tells.
    """
    moved = torch.linalg.inv(poses[1]) @ poses[0]
    rotation, move = moved[:3, :3].numpy(), moved[:3, 3].numpy()
    length = float(np.linalg.norm(move))
    if not np.isfinite(length):
        return 0.0
    back = [torch.linalg.inv(k).numpy() for k in lenses]
    first, second = (np.c_[p, np.ones(len(p))] for p in (one, other))
    rays, facing = first @ back[0].T @ rotation.T, second @ back[1].T
    seen = rays @ lenses[1].numpy().T
    place = seen[:, :2] / np.where(seen[:, 2:] > 1e-9, seen[:, 2:], np.nan)
    distant = np.nan_to_num(np.linalg.norm(place - other, axis=1), nan=np.inf) < miss
    if length == 0:
        return float(distant.mean())
    x, y, z = move = move / length
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    fundamental = back[1].T @ across @ rotation @ back[0]
    lines, lines_back = first @ fundamental.T, second @ fundamental
    slope = (lines[:, :2] ** 2).sum(1) + (lines_back[:, :2] ** 2).sum(1)
    off = np.abs((second * lines).sum(1)) / np.sqrt(np.maximum(slope, 1e-30))
    # Depths of the nearest point along both rays: only their signs count.
    a, b, c = (rays * rays).sum(1), -(rays * facing).sum(1), (facing * facing).sum(1)
    u, v = -(rays @ move), facing @ move
    ahead = ((c * u - b * v) > 0) & ((a * v - b * u) > 0)
    return float((((off < miss) & ahead) | distant).mean())


def _own_share(
    one: Float[np.ndarray, "M 2"], other: Float[np.ndarray, "M 2"], miss: float
) -> float:
    """Share of the matches that any one pair of cameras explains."""
    import cv2

    cv2.setRNGSeed(0)
    matrix, kept = cv2.findFundamentalMat(one, other, cv2.FM_RANSAC, miss, 0.999, 2000)
    return 0.0 if np.shape(matrix) != (3, 3) else float(np.asarray(kept).mean())

"""Camera moves by name: what may follow ``--targets``, with its options and their defaults.

Lengths are shares of the distance to what the inputs look at, so that a move looks alike in scenes
of any scale. Moves that come back (orbit, spiral, lemniscate, roll) leave out the repeated last
frame; the others begin at the first input and end at the full move.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, suggestion
from sphinx_framework.scenes.trajectories import focus_point, lemniscate, orbit, spiral
from sphinx_framework.types import Cameras


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a move starts from: the first input, what it looks at, and the depths of the scene."""

    inputs: Cameras
    near: float | None
    far: float | None

    @property
    def distance(self) -> float:
        """From the first input to what the inputs look at, along its optical axis or beside it."""
        focus = focus_point(self.inputs, self.near, self.far)
        return float((focus - self.inputs.centres[0].double()).norm())


Make = Callable[[View, int, Mapping[str, float]], Cameras]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A move. options: name -> (default, smallest, largest); 0 is never allowed."""

    summary: str
    options: Mapping[str, tuple[float, float, float]]
    make: Make


def _orbit(view: View, count: int, given: Mapping[str, float]) -> Cameras:
    return orbit(
        view.inputs,
        count,
        degrees=given["degrees"] * given["loops"],
        radius=given["radius"],
        near=view.near,
        far=view.far,
    )


def _looping(move: Callable[..., Cameras]) -> Make:
    """A move of some loops, as wide as its radius."""

    def make(view: View, count: int, given: Mapping[str, float]) -> Cameras:
        wide = {"loops": given["loops"], "radius": given["radius"]}
        return move(view.inputs, count, near=view.near, far=view.far, **wide)

    return make


def _along(axis: int, sign: float, *, keep_size: bool = False) -> Make:
    """Move straight along an axis of the first camera; keep_size: zoom against it."""

    def make(view: View, count: int, given: Mapping[str, float]) -> Cameras:
        moved = _shares(count) * given["distance"] * sign
        poses = _first(view.inputs, count)
        step = poses[0, :3, axis] * view.distance
        poses[:, :3, 3] += moved[:, None] * step
        return _cameras(poses, view.inputs, 1 - moved if keep_size else torch.ones(count))

    return make


def _turn(axis: int, *, closed: bool = False) -> Make:
    """Turn in place about an axis of the first camera."""

    def make(view: View, count: int, given: Mapping[str, float]) -> Cameras:
        shares = torch.arange(count, dtype=torch.float64) / count if closed else _shares(count)
        angles = torch.deg2rad(shares * given["degrees"])
        poses = _first(view.inputs, count)
        poses[:, :3, :3] = poses[:, :3, :3] @ _about(axis, angles)
        return _cameras(poses, view.inputs, torch.ones(count))

    return make


def _zoom(*, closer: bool) -> Make:
    """Change the focal length alone, by equal factors from frame to frame."""

    def make(view: View, count: int, given: Mapping[str, float]) -> Cameras:
        end = given["factor"] if closer else 1 / given["factor"]
        factors = end ** _shares(count)
        return _cameras(_first(view.inputs, count), view.inputs, factors)

    return make


_DISTANCE = (-10.0, 10.0)
_LOOPS = {"loops": (1.0, -100.0, 100.0)}
PRESETS: dict[str, Preset] = {
    "orbit": Preset(
        summary="circle around what the inputs look at, from the first input",
        options={"degrees": (360.0, -3600.0, 3600.0), "radius": (1.0, 0.01, 100.0), **_LOOPS},
        make=_orbit,
    ),
    "spiral": Preset(
        summary="spiral about the mean input, as wide as the inputs are apart",
        options={"radius": (1.0, 0.01, 100.0), "loops": (2.0, -100.0, 100.0)},
        make=_looping(spiral),
    ),
    "lemniscate": Preset(
        summary="figure of eight across the mean input, looking at one point",
        options={"radius": (0.15, 0.001, 10.0), **_LOOPS},
        make=_looping(lemniscate),
    ),
    "dolly-in": Preset(
        summary="forwards", options={"distance": (0.4, 0.001, 0.95)}, make=_along(2, 1)
    ),
    "dolly-out": Preset(
        summary="backwards", options={"distance": (0.4, 0.001, 10.0)}, make=_along(2, -1)
    ),
    "truck": Preset(
        summary="sideways; positive distances go right",
        options={"distance": (0.2, *_DISTANCE)},
        make=_along(0, 1),
    ),
    "pedestal": Preset(
        summary="up and down; positive distances go up",
        options={"distance": (0.1, *_DISTANCE)},
        make=_along(1, -1),
    ),
    "pan": Preset(
        summary="turn in place; positive degrees look right",
        options={"degrees": (20.0, -360.0, 360.0)},
        make=_turn(1),
    ),
    "tilt": Preset(
        summary="turn in place; positive degrees look up",
        options={"degrees": (15.0, -360.0, 360.0)},
        make=_turn(0),
    ),
    "roll": Preset(
        summary="turn about the optical axis, clockwise",
        options={"degrees": (360.0, -3600.0, 3600.0)},
        make=_turn(2, closed=True),
    ),
    "zoom-in": Preset(
        summary="longer focal length",
        options={"factor": (2.0, 1.001, 20.0)},
        make=_zoom(closer=True),
    ),
    "zoom-out": Preset(
        summary="shorter focal length",
        options={"factor": (1.5, 1.001, 4.0)},
        make=_zoom(closer=False),
    ),
    "dolly-zoom-in": Preset(
        summary="forwards, zooming out: what is looked at keeps its size",
        options={"distance": (0.4, 0.001, 0.9)},
        make=_along(2, 1, keep_size=True),
    ),
    "dolly-zoom-out": Preset(
        summary="backwards, zooming in: what is looked at keeps its size",
        options={"distance": (0.4, 0.001, 10.0)},
        make=_along(2, -1, keep_size=True),
    ),
}


def preset_options(name: str, text: str, spec: str) -> dict[str, float]:
    """The options of a move, checked: ``degrees=90,loops=2``, or a bare number for the first one.

    Raises:
        SceneError: an option that is unknown or set twice, or a value that is no number or outside
            of its range.
    """
    known = PRESETS[name].options
    values: dict[str, float] = {}
    for part in text.split(",") if text else ():
        key, given, value = part.partition("=")
        key = key.strip()
        if not given:
            key, value = next(iter(known)), part
        if key not in known:
            raise SceneError(
                f"targets {spec!r}: {name} has no option {key!r}.",
                hint=f"{suggestion(key, list(known))}Its options: {', '.join(known)}.",
            )
        if key in values:
            raise SceneError(f"targets {spec!r}: {key!r} is set twice.", hint="Keep one of them.")
        _, smallest, largest = known[key]
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not smallest <= number <= largest or number == 0:
            what = "an angle in degrees" if key == "degrees" else f"a {key}"
            raise SceneError(
                f"targets {spec!r}: {value!r} is not {what} from {smallest:g} to {largest:g}"
                f"{' other than 0' if smallest < 0 else ''}."
            )
        values[key] = number
    return {key: values.get(key, default) for key, (default, _, _) in known.items()}


def _shares(count: int) -> Float[Tensor, " T"]:
    """From 0 to 1; a single frame stands at the end."""
    if count == 1:
        return torch.ones(1, dtype=torch.float64)
    return torch.linspace(0, 1, count, dtype=torch.float64)


def _first(inputs: Cameras, count: int) -> Float[Tensor, "T 4 4"]:
    return inputs.world_from_camera[0].double().repeat(count, 1, 1)


def _about(axis: int, angles: Float[Tensor, " T"]) -> Float[Tensor, "T 3 3"]:
    """Rotation matrices about an axis of the camera, right-handed."""
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    turned = torch.eye(3, dtype=torch.float64).repeat(len(angles), 1, 1)
    turned[:, first, first] = turned[:, second, second] = angles.cos()
    turned[:, second, first], turned[:, first, second] = angles.sin(), -angles.sin()
    return turned


def _cameras(
    poses: Float[Tensor, "T 4 4"], inputs: Cameras, factors: Float[Tensor, " T"]
) -> Cameras:
    """Cameras with the first input's lens, its focal lengths multiplied."""
    intrinsics = inputs.intrinsics[0].double().repeat(len(poses), 1, 1)
    intrinsics[:, [0, 1], [0, 1]] *= factors.double()[:, None]
    return Cameras(
        world_from_camera=poses.float(),
        intrinsics=intrinsics.float(),
        image_size=inputs.image_size,
    )

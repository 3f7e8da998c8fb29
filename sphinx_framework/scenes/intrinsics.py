"""Pinhole intrinsics from the keys that ``transforms.json`` files use, complete or not.

In numbers, without torch: the client reads its target files by the same rules.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.json_fields import Fields
from sphinx_framework.scenes.lens_keys import DISTORTION_KEYS

CAMERA_KEYS = ("fl_x", "fl_y", "cx", "cy", "w", "h", "camera_angle_x", "camera_angle_y")
_LENGTHS = ("fl_x", "fl_y")
# Longer focal lengths are pixels; angles are rounded by some programs, or those of another lens.
_NORMALISED, _DISAGREE = 10.0, 0.02
_FORMS = "'fl_x' (pixels) or 'camera_angle_x' (radians, the whole horizontal angle)"


class Pinhole(NamedTuple):
    """Focal lengths and principal point; in pixels, or in units of the image's width and height."""

    fx: float
    fy: float
    cx: float
    cy: float

    @property
    def normalised(self) -> bool:
        """Whether the principal point lies in [0, 1] x [0, 1], which no one of pixels does."""
        return 0 <= self.cx <= 1 and 0 <= self.cy <= 1


def check_shares(where: str, lens: Pinhole, keys: tuple[str, str] = _LENGTHS) -> None:
    """Refuse focal lengths in pixels beside a principal point in units of the image's size.

    keys: of the two focal lengths, for the message.

    Raises:
        SceneError: naming the focal length.
    """
    for key, length in zip(keys, lens[:2], strict=True):
        if lens.normalised and length > _NORMALISED:
            raise SceneError(
                f"{where}, {key!r}: is {length:g}, but 'cx' and 'cy' lie within 0..1.",
                hint="Give all in pixels, or all as shares of the image's width and height.",
            )


def merged_keys(frame: Fields, top: Fields) -> tuple[Fields, tuple[str, ...]]:
    """The frame's values overridden by the top level's of its lens, and which ones differ."""
    shared = {key: top.values[key] for key in (*CAMERA_KEYS, *DISTORTION_KEYS) if key in top}
    differing = tuple(key for key in shared if key in frame and frame.values[key] != shared[key])
    return Fields(values={**frame.values, **shared}, where=frame.where), differing


def angle_doubt(frame: Fields, size: tuple[int, int] | None) -> str:
    """What to tell where a frame states both a focal length and an angle that contradicts it."""
    for axis, side in (("x", 1), ("y", 0)):
        length, angle = f"fl_{axis}", f"camera_angle_{axis}"
        if length not in frame or angle not in frame or size is None:
            continue
        stated, opened = frame.number(length), frame.number(angle)
        if stated <= 0:
            continue
        if not 0 < opened < math.pi:
            return f"{angle!r} is {opened:g}, no angle in radians; {length!r} is used"
        across = 0.5 / math.tan(0.5 * opened)
        if stated > _NORMALISED:
            across *= size[side]
        if abs(math.log(across / stated)) > _DISAGREE:
            return (
                f"{angle!r} says a focal length of {across:.4g}, {length!r} {stated:.4g}, which is "
                "used"
            )
    return ""


def key_warnings(
    top: Fields, frames: Sequence[Fields], sizes: Sequence[tuple[int, int] | None]
) -> list[str]:
    """Intrinsics that contradict each other: root and frame, focal length and angle."""
    for frame, size in zip(frames, sizes, strict=True):
        merged, differing = merged_keys(frame, top)
        if differing:
            keys = ", ".join(repr(key) for key in differing)
            return [f"{frame.where}: {keys} differ from the top level, which is used for all"]
        doubt = angle_doubt(merged, size)
        if doubt:
            return [f"{frame.where}: {doubt}"]
    return []


def named_pinhole(entry: Fields) -> Pinhole:
    """The ``intrinsics`` of a camera where they are an object, as in a ``cameras.json``.

    Raises:
        SceneError: a number that is missing, or another key, which would have no effect.
    """
    named = entry.nested("intrinsics")
    for key, value in named.values.items():
        if key not in Pinhole._fields and value not in (None, 0):  # no skew says nothing else
            raise SceneError(
                f"{named.where}: {shown(key)!r} is none of its keys, fx, fy, cx and cy.",
                hint="Undistort photos first; the size stands beside the intrinsics, as 'width' "
                "and 'height'.",
            )
    return Pinhole(*(named.number(key) for key in Pinhole._fields))


def focal_of(entry: Fields, height: float) -> float:
    """Focal length of a viewer's camera by its ``fov``, the whole vertical angle in degrees.

    Raises:
        SceneError: an angle that cannot be.
    """
    fov = entry.number("fov")
    if not 0 < fov < 180:
        raise SceneError(f"{entry.where}, 'fov': must lie between 0 and 180 degrees, got {fov:g}.")
    return 0.5 * height / math.tan(0.5 * math.radians(fov))


def read_intrinsics(frame: Fields, size: tuple[int, int] | None) -> Pinhole:
    """Intrinsics of a frame; in pixels, or normalised where the file has them so.

    A focal length that is missing is the other one, pixels being square, or comes from its angle:
    ``fl_x = 0.5 w / tan(0.5 camera_angle_x)``. A principal point that is missing is the middle.

    size: (height, width) as the file states it, or of the image; for what is not stated.

    Raises:
        SceneError: no focal length, an impossible angle, no size to complete the keys with, or a
            focal length in pixels beside a principal point that is not.
    """
    across, down = _given(frame, size, "x", 1), _given(frame, size, "y", 0)
    if across is None and down is None:
        raise SceneError(
            f"{frame.where}: the key 'fl_x' is missing.",
            hint=f"The focal length is {_FORMS}, in the frame or at the top level.",
        )
    fl_x = across if across is not None else _square(frame, size, float(down or 0), 1)
    fl_y = down if down is not None else _square(frame, size, fl_x, 0)
    cx = frame.number("cx") if "cx" in frame else _side(frame, size, 1) / 2
    cy = frame.number("cy") if "cy" in frame else _side(frame, size, 0) / 2
    lens = Pinhole(fl_x, fl_y, cx, cy)
    check_shares(frame.where, lens)
    return lens


def _given(frame: Fields, size: tuple[int, int] | None, axis: str, side: int) -> float | None:
    """The focal length along one axis where the file says it."""
    length, angle = f"fl_{axis}", f"camera_angle_{axis}"
    if length in frame:
        return frame.number(length)
    # Beside ``fl_x`` the other angle is another program's rounding of it.
    if angle not in frame or "fl_x" in frame:
        return None
    return _focal(frame, angle, 1.0 if _in_shares(frame) else _side(frame, size, side))


def _square(frame: Fields, size: tuple[int, int] | None, known: float, missing: int) -> float:
    """The focal length along axis ``missing`` (1: across, 0: down) of square pixels."""
    if not _in_shares(frame):
        return known
    return known * _side(frame, size, 1 - missing) / _side(frame, size, missing)


def _in_shares(frame: Fields) -> bool:
    """Whether the principal point is stated in units of the image's width and height."""
    return all(key in frame and 0 <= frame.number(key) <= 1 for key in ("cx", "cy"))


def _side(frame: Fields, size: tuple[int, int] | None, axis: int) -> float:
    if size is None:
        raise SceneError(
            f"{frame.where}: without 'w' and 'h', and without its image, the keys 'fl_x', 'fl_y', "
            "'cx' and 'cy' must all be there.",
            hint="Add 'w' and 'h', the size that the camera is for.",
        )
    return float(size[axis])


def _focal(frame: Fields, key: str, side: float) -> float:
    angle = frame.number(key)
    if not 0 < angle < math.pi:
        raise SceneError(
            f"{frame.where}, {key!r}: must lie between 0 and pi (radians), got {angle:g}."
        )
    return 0.5 * side / math.tan(0.5 * angle)

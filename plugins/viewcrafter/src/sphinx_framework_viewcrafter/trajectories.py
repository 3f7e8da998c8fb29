"""The authors' camera paths (spec section 5.3); poses are world-from-camera, OpenCV axes.

Between photos: :func:`between_views` and :func:`focals_between_views`. Around a single photo, in a
world centred on the object (:func:`object_centred`): :func:`path_from_lists`, :func:`path_to`.
Angles are degrees.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import SceneError

FRAMES_PER_PAIR = 25
# Lists up to this long are interpolated, longer ones smoothed with a cubic spline.
LONGEST_LINEAR_LIST = 3


def between_views(
    poses: Float[Tensor, "N 4 4"], frames: int = FRAMES_PER_PAIR
) -> Float[Tensor, "F 4 4"]:
    """Poses from the first view through all others, ``frames - 1`` per pair and the last view.

    Centres and the y and z axes are mixed with weights ``0, 1/frames, ...``, so the step onto the
    next view is twice as long as the others; the axes are made orthogonal again.
    """
    _check_pairs(len(poses))
    parts = []
    for first, last in zip(poses[:-1].double(), poses[1:].double(), strict=True):
        u = torch.arange(frames - 1, dtype=torch.float64, device=poses.device)[:, None] / frames
        mixed = [(1 - u) * first[:3, c] + u * last[:3, c] for c in range(4)]
        z = functional.normalize(mixed[2], dim=1)
        x = functional.normalize(torch.linalg.cross(mixed[1], z), dim=1)
        y = functional.normalize(torch.linalg.cross(z, x), dim=1)
        path = torch.eye(4, dtype=torch.float64, device=poses.device).repeat(frames - 1, 1, 1)
        path[:, :3] = torch.stack([x, y, z, mixed[3]], dim=2)
        parts.append(path)
    return torch.cat([*parts, poses[-1:].double()]).to(poses.dtype)


def focals_between_views(
    focals: Float[Tensor, "N *d"], frames: int = FRAMES_PER_PAIR
) -> Float[Tensor, "F *d"]:
    """Focal lengths or principal points along :func:`between_views`.

    Weights are ``0, 1/(frames-2), ..., 1``: the value of the next view is reached one frame early
    and, at the end, repeated.
    """
    _check_pairs(len(focals))
    u = torch.linspace(0, 1, frames - 1, dtype=torch.float64, device=focals.device)
    parts = [
        torch.lerp(first, last, u.view(-1, *(1,) * first.ndim))
        for first, last in zip(focals[:-1].double(), focals[1:].double(), strict=True)
    ]
    return torch.cat([*parts, focals[-1:].double()]).to(focals.dtype)


def in_camera(
    poses: Float[Tensor, "N 4 4"], points: Float[Tensor, "*p 3"], camera: int
) -> tuple[Float[Tensor, "N 4 4"], Float[Tensor, "*p 3"]]:
    """Express poses and points in the axes of one camera."""
    return _moved(torch.linalg.inv(poses[camera].double()), poses, points)


def object_centred(
    poses: Float[Tensor, "N 4 4"],
    points: Float[Tensor, "*p 3"],
    camera: int,
    *,
    radius: float,
    elevation: float = 5.0,
) -> tuple[Float[Tensor, "N 4 4"], Float[Tensor, "*p 3"]]:
    """Put the origin ``radius`` in front of one camera and tilt the world by its elevation."""
    poses, points = in_camera(poses, points, camera)
    # The world's z axis points from the object towards the camera.
    object_pose = _pose(_rotation_x(-(180.0 - elevation)), (0.0, 0.0, radius)).to(poses.device)
    return _moved(torch.linalg.inv(object_pose), poses, points)


def around_object(
    pose: Float[Tensor, "4 4"],
    *,
    theta: float,
    phi: float,
    radius: float = 0.0,
    x: float = 0.0,
    y: float = 0.0,
) -> Float[Tensor, "4 4"]:
    """Move a pose of the object-centred world by offsets, then turn it around the origin.

    theta: about the x axis, first. phi: about the y axis. radius, x, y: added to the position
    before the turn.
    """
    moved = pose.double().clone()
    moved[:3, 3] += torch.tensor([x, y, radius], dtype=torch.float64, device=pose.device)
    turn = _pose(_rotation_y(phi) @ _rotation_x(theta), (0.0, 0.0, 0.0)).to(pose.device)
    return (turn @ moved).to(pose.dtype)


def path_from_lists(
    anchor: Float[Tensor, "4 4"],
    *,
    phi: Sequence[float],
    theta: Sequence[float],
    radius: Sequence[float],
    frames: int = FRAMES_PER_PAIR,
) -> Float[Tensor, "F 4 4"]:
    """Path along lists of angles and relative radii (the authors' trajectory text files).

    radius: changes relative to the anchor's distance along z.
    """
    angles = [pinned(values, frames) for values in (theta, phi, radius)]
    distance = float(anchor[2, 3])
    return torch.stack(
        [
            around_object(anchor, theta=t, phi=p, radius=r * distance)
            for t, p, r in zip(*(a.tolist() for a in angles), strict=True)
        ]
    )


def path_to(
    anchor: Float[Tensor, "4 4"],
    *,
    phi: float,
    theta: float,
    radius: float = 0.0,
    x: float = 0.0,
    y: float = 0.0,
    frames: int = FRAMES_PER_PAIR,
) -> Float[Tensor, "F 4 4"]:
    """Path with all offsets growing linearly from 0; ``radius`` is relative, ``x y`` world units.

    The authors give pans in pixels: multiply them by depth over focal length.
    """
    distance = float(anchor[2, 3])
    return torch.stack(
        [
            around_object(
                anchor, theta=u * theta, phi=u * phi, radius=u * radius * distance, x=u * x, y=u * y
            )
            for u in np.linspace(0, 1, frames).tolist()
        ]
    )


def parse_lists(text: str) -> dict[str, list[float]]:
    """Read a trajectory text: three lines of numbers, ``phi``, ``theta`` and ``radius``.

    Raises:
        SceneError: another number of lines, a word that is no number, or fewer than two numbers.
    """
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    names = ("phi", "theta", "radius")
    if len(lines) != len(names):
        raise SceneError(
            f"a camera path text needs 3 lines (phi, theta, radius), this one has {len(lines)}."
        )
    lists = {}
    for name, line in zip(names, lines, strict=True):
        try:
            lists[name] = [float(word) for word in line]
        except ValueError as error:
            raise SceneError(f"camera path text, line {name!r}: {error}.") from None
        if len(lists[name]) < 2:
            raise SceneError(f"camera path text, line {name!r}: at least 2 numbers are needed.")
    return lists


def smoothed(values: Sequence[float], frames: int) -> Float[np.ndarray, " F"]:
    """Sample a list at ``frames`` even places: linearly, or from a smoothing spline if it is long.

    The spline is scipy's cubic ``UnivariateSpline`` with its default smoothing.
    """
    places, wanted = np.linspace(0, 1, len(values)), np.linspace(0, 1, frames)
    if len(values) <= LONGEST_LINEAR_LIST:
        return np.interp(wanted, places, np.asarray(values, dtype=np.float64))
    from scipy.interpolate import UnivariateSpline

    spline = UnivariateSpline(places, np.asarray(values, dtype=np.float64), k=3)
    sampled: np.ndarray = spline(wanted)
    return sampled


def pinned(values: Sequence[float], frames: int) -> Float[np.ndarray, " F"]:
    """:func:`smoothed` with the first and last sample set to the list's ends."""
    sampled = smoothed(values, frames)
    sampled[0], sampled[-1] = values[0], values[-1]
    return sampled


def _check_pairs(count: int) -> None:
    if count < 2:
        raise SceneError(f"a path between views needs at least 2 of them, got {count}.")


def _moved(transform: Float[Tensor, "4 4"], poses: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    moved_points = points.double() @ transform[:3, :3].T + transform[:3, 3]
    return (transform @ poses.double()).to(poses.dtype), moved_points.to(points.dtype)


def _pose(
    rotation: Float[Tensor, "3 3"], position: tuple[float, float, float]
) -> Float[Tensor, "4 4"]:
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = rotation
    pose[:3, 3] = torch.tensor(position, dtype=torch.float64)
    return pose


def _rotation_x(degrees: float) -> Float[Tensor, "3 3"]:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return torch.tensor([[1, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)


def _rotation_y(degrees: float) -> Float[Tensor, "3 3"]:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)

"""A capture on disk: posed shots whose image files have not been loaded yet.

The folder readers (:mod:`.transforms`, :mod:`.photos`) end here; :mod:`.build` loads the chosen
shots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_intrinsics
from sphinx_framework.scenes.checks import rounding_doubts
from sphinx_framework.scenes.depth_files import DepthFile, depth_range
from sphinx_framework.scenes.images import Header, Photo, read_header, read_image
from sphinx_framework.scenes.intrinsics import Pinhole, check_shares
from sphinx_framework.scenes.lens import undistorted
from sphinx_framework.scenes.poses import PoseConvention
from sphinx_framework.types import Cameras
from sphinx_framework.types.origin import NO_MOVE, Origin, moved, origin_of
from sphinx_framework.types.placing import check_rounding_of

# Scaled copies of a photo round their sides, which moves the aspect ratio a little.
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One posed camera and, where there is one, its image file.

    where: the place in the JSON file, for messages.
    world_from_camera: 4x4 float64, OpenCV axes.
    intrinsics: 3x3 float64; in pixels of ``image_size`` or, when ``normalised``, with row 0 in
        units of the image width and row 1 of its height.
    image_size: ``(height, width)`` as the JSON states it, or ``None``.
    order: position along the capture, or ``None`` when unknown.
    distortion: OpenCV's terms by key (k1, k2, p1, p2, k3), undone when the photo is read.
    mask: an image of what to use of the photo; no model here reads it.
    depth: a file of depths of the photo, and what a unit of it is worth in scene units.
    readings: the pose as other conventions read it, where the file leaves that open.
    """

    where: str
    file: Photo | None
    world_from_camera: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    normalised: bool
    image_size: tuple[int, int] | None
    order: float | None
    mask: Path | None = None
    depth: DepthFile | None = None
    distortion: Mapping[str, float] = field(default_factory=dict)
    readings: Mapping[PoseConvention, Float[Tensor, "4 4"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """The shots of a folder, and which of them are inputs and targets (indices).

    poses_file: the JSON file of the poses, in whose world other files of poses may stand.
    no_targets: why there are none, where a file says so.
    """

    name: str
    shots: tuple[Shot, ...]
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    near: float | None = None
    far: float | None = None
    warnings: tuple[str, ...] = ()
    poses_file: Path | None = None
    no_targets: str = ""


def known_range(capture: Capture) -> tuple[float | None, float | None]:
    """Near and far as the capture states them, else as the depths of its inputs show them."""
    if capture.near is not None or capture.far is not None:
        return capture.near, capture.far
    files = [capture.shots[index].depth for index in capture.inputs]
    return depth_range([file for file in files if file is not None])


def shot_cameras(
    shots: Sequence[Shot],
    canvas: tuple[int, int],
    fit: str,
    *,
    default_size: tuple[int, int],
    origin: Origin = NO_MOVE,
) -> Cameras:
    """Cameras of the shots for images of size ``canvas``.

    default_size: of shots that neither state a size nor have an image file.
    origin: the point of the shots' world that becomes (0, 0, 0).
    """
    poses = [moved(shot.world_from_camera, origin, -1).float() for shot in shots]
    intrinsics = [_fitted_intrinsics(shot, canvas, fit, default_size).float() for shot in shots]
    return Cameras(
        world_from_camera=torch.stack(poses) if poses else torch.zeros(0, 4, 4),
        intrinsics=torch.stack(intrinsics) if intrinsics else torch.zeros(0, 3, 3),
        image_size=canvas,
    )


def checked_origin(
    inputs: Sequence[Shot], targets: Sequence[Shot], near: float | None
) -> tuple[Origin, tuple[str, ...]]:
    """What to subtract from the shots' poses, and what is doubtful about their numbers.

    Raises:
        SceneError: what the file holds cannot tell the cameras apart, so that nothing could.
    """
    ours, theirs = (
        torch.stack([shot.world_from_camera for shot in shots]) if shots else torch.zeros(0, 4, 4)
        for shots in (inputs, targets)
    )
    ours, theirs = ours.double(), theirs.double()
    check_rounding_of(ours, theirs, near, inputs[0].where)
    return origin_of([*ours, *theirs], near), rounding_doubts(ours, theirs, near)


def validate_poses(shots: Sequence[Shot], what: str) -> None:
    """Raise :class:`SceneError` naming the first shot of ``what`` whose camera is unusable."""
    if shots:
        # What is finite in double precision may not be in single.
        Cameras(
            world_from_camera=torch.stack([s.world_from_camera.float() for s in shots]).double(),
            intrinsics=torch.stack([shot.intrinsics.float() for shot in shots]).double(),
            image_size=(1, 1),
        ).validate(what)


def is_normalised(intrinsics: Float[Tensor, "3 3"]) -> bool:
    """Whether the principal point lies in [0, 1] x [0, 1]: units of the image size, not pixels."""
    return _pinhole_of(intrinsics).normalised


def matrix_of(lens: Pinhole) -> Float[Tensor, "3 3"]:
    """The camera matrix of a lens, float64."""
    fx, fy, cx, cy = lens
    return torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)


def _pinhole_of(intrinsics: Float[Tensor, "3 3"]) -> Pinhole:
    return Pinhole(*intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]].tolist())


def read_photo(shot: Shot, file: Photo, max_pixels: int) -> Float[Tensor, "3 H W"]:
    """The pixels of a shot as stored, without its lens's distortion."""
    image = read_image(file, upright=False, max_pixels=max_pixels)
    if not any(shot.distortion.values()):
        return image
    intrinsics, _ = in_file_pixels(shot, (image.shape[1], image.shape[2]))
    try:
        return undistorted(image, intrinsics, shot.distortion)
    except SceneError as error:
        raise SceneError(f"{shot.where}: {error.message}", hint=error.hint) from error


def _fitted_intrinsics(
    shot: Shot, canvas: tuple[int, int], fit: str, default_size: tuple[int, int]
) -> Float[Tensor, "3 3"]:
    """Intrinsics of a shot in pixels of the canvas, float64."""
    intrinsics, actual = in_file_pixels(shot, default_size)
    return fit_intrinsics(intrinsics, actual, canvas, fit)


def in_file_pixels(
    shot: Shot, default_size: tuple[int, int]
) -> tuple[Float[Tensor, "3 3"], tuple[int, int]]:
    """Intrinsics in pixels of the image file (without one: of the stated size), and its size."""
    stated = shot.image_size or default_size
    actual = stated
    if shot.file is not None and shot.file.is_file():
        header = read_header(shot.file)
        actual = checked_size(shot, header)
        if shot.image_size is None:
            stated = actual
    intrinsics = shot.intrinsics
    if shot.normalised:
        check_shares(shot.where, _pinhole_of(intrinsics), ("fx", "fy"))
        intrinsics = intrinsics * intrinsics.new_tensor((stated[1], stated[0], 1.0))[:, None]
    return fit_intrinsics(intrinsics, stated, actual, "stretch"), actual


def checked_size(shot: Shot, header: Header) -> tuple[int, int]:
    """The file's size, or a refusal when its aspect ratio contradicts the stated size."""
    actual = header.size
    if shot.image_size is not None:
        stated = shot.image_size
        ratio = (actual[1] * stated[0]) / (actual[0] * stated[1])
        if abs(ratio - 1) > ASPECT_TOLERANCE:
            raise SceneError(
                f"{shot.where}: the image is {actual[1]}x{actual[0]} (width x height), but its "
                f"camera is stated for {stated[1]}x{stated[0]}.",
                hint="Intrinsics and image must describe the same picture, scaled at most."
                + _turned_hint(header),
            )
    return actual


def _turned_hint(header: Header) -> str:
    if header.orientation < 5:
        return ""
    return (
        f" The photo's EXIF orientation {header.orientation} would turn it; posed photos are read "
        "as stored. Write it upright, or give the camera of the stored pixels."
    )

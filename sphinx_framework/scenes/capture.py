"""A capture on disk: posed shots whose image files have not been loaded yet.

The folder readers (:mod:`.transforms`, :mod:`.photos`) end here; :func:`build_scene` loads the
chosen shots, reconciles sizes and returns a :class:`Scene`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_images, fit_intrinsics
from sphinx_framework.scenes.checks import check_intrinsics
from sphinx_framework.scenes.depth_files import DepthFile, depth_range
from sphinx_framework.scenes.images import (
    MAX_PIXELS,
    Header,
    Photo,
    has_transparency,
    read_header,
    read_image,
)
from sphinx_framework.scenes.json_fields import Fields
from sphinx_framework.scenes.lens import undistorted
from sphinx_framework.scenes.origin import NO_MOVE, Origin, moved, origin_of
from sphinx_framework.scenes.poses import PoseConvention
from sphinx_framework.scenes.view_checks import View, view_doubts
from sphinx_framework.texts import counted
from sphinx_framework.types import Cameras, Scene

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
    """

    name: str
    shots: tuple[Shot, ...]
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    near: float | None = None
    far: float | None = None
    warnings: tuple[str, ...] = ()
    poses_file: Path | None = None


def build_scene(
    capture: Capture,
    targets: Sequence[int],
    size: tuple[int, int] | None,
    fit: str,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Scene:
    """Load the inputs and the chosen targets of a capture, all at one size.

    size: ``(height, width)`` to fit everything to; ``None`` keeps the size of the files, which
    must then agree. Ground truth is carried when every chosen target has its file.

    Raises:
        SceneError: no inputs, a missing or unreadable input, or sizes that cannot be reconciled.
    """
    if not capture.inputs:
        raise SceneError(f"{capture.name}: no input photo is named.")
    loaded = [_load_input(capture.shots[i], max_pixels) for i in capture.inputs]
    native = (int(loaded[0].shape[1]), int(loaded[0].shape[2]))
    canvas = size if size is not None else native
    input_shots = [capture.shots[i] for i in capture.inputs]
    target_shots = [capture.shots[i] for i in targets]
    if size is None:
        _require_one_size(input_shots, loaded)
    images = torch.cat([fit_images(image[None], canvas, fit) for image in loaded])
    truth, warnings = _ground_truth(target_shots, canvas, fit, max_pixels)
    warnings += _camera_warnings([*input_shots, *target_shots], native)
    warnings += _photo_warnings([*input_shots, *target_shots], max_pixels)
    near, far = known_range(capture)
    origin = origin_of([shot.world_from_camera for shot in (*input_shots, *target_shots)], near)
    inputs = shot_cameras(input_shots, canvas, fit, default_size=native, origin=origin)
    views = _views(input_shots, images, inputs)
    cameras = shot_cameras(target_shots, canvas, fit, default_size=native, origin=origin)
    seen = () if truth is None else _views(target_shots, truth, cameras)
    warnings += view_doubts(views, seen)
    orders = [shot.order for shot in (*input_shots, *target_shots)]
    known = tuple(order for order in orders if order is not None)
    return Scene(
        images=images,
        inputs=inputs,
        targets=cameras,
        name=capture.name,
        near=near,
        far=far,
        target_images=truth,
        order=known if len(known) == len(orders) else None,
        warnings=(*capture.warnings, *warnings),
        origin=origin,
    )


def known_range(capture: Capture) -> tuple[float | None, float | None]:
    """Near and far as the capture states them, else as the depths of its inputs show them."""
    if capture.near is not None or capture.far is not None:
        return capture.near, capture.far
    files = [capture.shots[index].depth for index in capture.inputs]
    return depth_range([file for file in files if file is not None])


def _views(
    shots: Sequence[Shot], images: Float[Tensor, "V 3 H W"], cameras: Cameras
) -> tuple[View, ...]:
    return tuple(
        View(
            image=partial(images.__getitem__, index),
            intrinsics=cameras.intrinsics[index].double(),
            pose=shot.world_from_camera,
            readings=shot.readings,
        )
        for index, shot in enumerate(shots)
    )


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


def validate_poses(shots: Sequence[Shot], what: str) -> None:
    """Raise :class:`SceneError` naming the first shot of ``what`` whose camera is unusable."""
    if shots:
        # What is finite in double precision may not be in single.
        Cameras(
            world_from_camera=torch.stack([s.world_from_camera.float() for s in shots]).double(),
            intrinsics=torch.stack([shot.intrinsics.float() for shot in shots]).double(),
            image_size=(1, 1),
        ).validate(what)


def stated_size(fields: Fields, height: str, width: str) -> tuple[int, int] | None:
    """The image size an object states under two keys: both or neither."""
    size = fields.count_or_none(height), fields.count_or_none(width)
    if size[0] is None or size[1] is None:
        if size != (None, None):
            raise SceneError(f"{fields.where}: give both {width!r} and {height!r}, or neither.")
        return None
    return size[0], size[1]


def is_normalised(intrinsics: Float[Tensor, "3 3"]) -> bool:
    """Whether the principal point lies in [0, 1] x [0, 1]: units of the image size, not pixels."""
    return bool(((intrinsics[:2, 2] >= 0) & (intrinsics[:2, 2] <= 1)).all())


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


def _load_input(shot: Shot, max_pixels: int) -> Float[Tensor, "3 H W"]:
    if shot.file is None:
        raise SceneError(
            f"{shot.where}: is an input but names no image file.",
            hint="Inputs need a photo; choose other inputs with --split.",
        )
    try:
        header = read_header(shot.file, max_pixels=max_pixels)
    except SceneError as error:
        raise SceneError(f"{shot.where}: {error.message}", hint=error.hint) from error
    _checked_size(shot, header)
    return read_photo(shot, shot.file, max_pixels)


def _require_one_size(shots: Sequence[Shot], images: Sequence[Float[Tensor, "3 _ _"]]) -> None:
    for shot, image in zip(shots, images, strict=True):
        if image.shape != images[0].shape:
            raise SceneError(
                f"{shot.where}: the image is {image.shape[2]}x{image.shape[1]} (width x height), "
                f"but the first input is {images[0].shape[2]}x{images[0].shape[1]}.",
                hint="Give a size to fit all images to.",
            )


def _ground_truth(
    shots: Sequence[Shot], canvas: tuple[int, int], fit: str, max_pixels: int
) -> tuple[Float[Tensor, "T 3 H W"] | None, tuple[str, ...]]:
    files = [(shot, shot.file) for shot in shots if shot.file is not None and shot.file.is_file()]
    if not files or len(files) < len(shots):
        partial = f"ground truth exists for {len(files)} of {len(shots)} targets and is not used"
        return None, (partial,) if files else ()
    images = [read_photo(shot, file, max_pixels) for shot, file in files]
    return torch.cat([fit_images(image[None], canvas, fit) for image in images]), ()


def _photo_warnings(shots: Sequence[Shot], max_pixels: int) -> tuple[str, ...]:
    """What the photos have and posed scenes do not use: EXIF orientation, transparency."""
    headers = [
        (shot.file, read_header(shot.file, max_pixels=max_pixels))
        for shot in shots
        if shot.file is not None and shot.file.is_file()
    ]
    turned = [(file, header) for file, header in headers if header.orientation != 1]
    clear = [file for file, header in headers if header.alpha and has_transparency(file)]
    told = []
    if turned:
        file, header = turned[0]
        told.append(
            f"{file.name}: its EXIF orientation {header.orientation} is not applied "
            f"({counted(len(turned), 'photo')}): cameras are taken to be for the pixels as stored"
        )
    if clear:
        told.append(
            f"{clear[0].name}: transparency is filled with white ({counted(len(clear), 'photo')})"
        )
    return tuple(told)


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
        actual = _checked_size(shot, header)
        if shot.image_size is None:
            stated = actual
    intrinsics = shot.intrinsics
    if shot.normalised:
        intrinsics = intrinsics * intrinsics.new_tensor((stated[1], stated[0], 1.0))[:, None]
    return fit_intrinsics(intrinsics, stated, actual, "stretch"), actual


def _camera_warnings(shots: Sequence[Shot], default_size: tuple[int, int]) -> tuple[str, ...]:
    """The first doubt about intrinsics; raises where they cannot be those of the image."""
    doubts = [
        note
        for shot in shots
        for note in check_intrinsics(
            shot.where, *in_file_pixels(shot, default_size), stated=shot.image_size is not None
        )
    ]
    return tuple(doubts[:1])


def _checked_size(shot: Shot, header: Header) -> tuple[int, int]:
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

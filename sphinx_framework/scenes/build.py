"""From a capture to a scene: the chosen photos at one size, and what they make doubtful."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_images
from sphinx_framework.scenes.capture import (
    Capture,
    Shot,
    checked_origin,
    checked_size,
    in_file_pixels,
    known_range,
    read_photo,
    shot_cameras,
)
from sphinx_framework.scenes.checks import check_intrinsics
from sphinx_framework.scenes.images import MAX_PIXELS, has_transparency, read_header
from sphinx_framework.scenes.view_checks import View, view_doubts
from sphinx_framework.texts import counted
from sphinx_framework.types import Cameras, Scene


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
    origin, doubts = checked_origin(input_shots, target_shots, near)
    warnings += doubts
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
    checked_size(shot, header)
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

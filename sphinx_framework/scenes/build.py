"""From a capture to a scene: the chosen photos at one size, and what they make doubtful."""

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.capture import (
    Capture,
    Shot,
    checked_origin,
    in_file_pixels,
    known_range,
    shot_cameras,
)
from sphinx_framework.scenes.checks import check_intrinsics
from sphinx_framework.scenes.images import MAX_PIXELS, read_header
from sphinx_framework.scenes.lens import corner_shift, distortion_note
from sphinx_framework.scenes.photo_checks import transparency_note
from sphinx_framework.scenes.pictures import read_pictures
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
    input_shots = [capture.shots[i] for i in capture.inputs]
    target_shots = [capture.shots[i] for i in targets]
    images, truth, native, warnings = read_pictures(
        input_shots, target_shots, size, fit, max_pixels
    )
    canvas = size if size is not None else native
    warnings += _camera_warnings([*input_shots, *target_shots], native)
    warnings += _photo_warnings([*input_shots, *target_shots], max_pixels)
    warnings += _lens_warnings([*input_shots, *(() if truth is None else target_shots)], native)
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


def _photo_warnings(shots: Sequence[Shot], max_pixels: int) -> tuple[str, ...]:
    """What the photos have and posed scenes do not use: EXIF orientation, transparency."""
    named = [shot.file for shot in shots if shot.file is not None and shot.file.is_file()]
    files = dict.fromkeys(named)  # several shots may name one
    headers = [(file, read_header(file, max_pixels=max_pixels)) for file in files]
    turned = [(file, header) for file, header in headers if header.orientation != 1]
    filled = transparency_note([file for file, header in headers if header.alpha])
    told = []
    if turned:
        file, header = turned[0]
        told.append(
            f"{file.name}: its EXIF orientation {header.orientation} is not applied "
            f"({counted(len(turned), 'photo')}): cameras are taken to be for the pixels as stored"
        )
    return (*told, filled) if filled else tuple(told)


def _lens_warnings(shots: Sequence[Shot], default_size: tuple[int, int]) -> tuple[str, ...]:
    """What was undone in photos that were read; a capture that is copied keeps its lens."""
    bent = [shot for shot in shots if any(shot.distortion.values())]
    if not bent:
        return ()
    shifts = [corner_shift(*in_file_pixels(shot, default_size), shot.distortion) for shot in bent]
    note = distortion_note(shifts)
    return (f"{bent[shifts.index(max(shifts))].where}: {note}",) if note else ()


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

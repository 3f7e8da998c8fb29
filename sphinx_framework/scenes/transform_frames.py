"""The frames of a ``transforms.json``-like file as posed shots: conventions, intrinsics, files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Shot, is_normalised, matrix_of, validate_poses
from sphinx_framework.scenes.depth_files import DEFAULT_UNIT, DEPTH_KEY, UNIT_KEY, DepthFile
from sphinx_framework.scenes.doubled import doubled_places
from sphinx_framework.scenes.files import Found, file_inside, find_photo, natural_key
from sphinx_framework.scenes.images import read_header
from sphinx_framework.scenes.intrinsics import (
    CAMERA_KEYS,
    key_warnings,
    merged_keys,
    read_intrinsics,
)
from sphinx_framework.scenes.json_fields import Fields, read_json_object, stated_size
from sphinx_framework.scenes.lens_keys import check_model, distortion_of, target_lens_doubts
from sphinx_framework.scenes.poses import (
    CONVENTIONS,
    PoseConvention,
    choose_convention,
    opencv_world_from_camera,
    to_4x4,
)
from sphinx_framework.texts import counted

# Instant-ngp's depths, whose meaning (along the axis or the ray) its files do not say.
_INGP_DEPTH = "depth_path"
_SMALLEST, _LARGEST_UNIT = 1e-6, 1e6


def read_transform_shots(
    path: Path,
    *,
    convention: str = "auto",
    with_files: bool = True,
    applied: Float[Tensor, "4 4"] | None = None,
    like: Shot | None = None,
    default_size: tuple[int, int] | None = None,
) -> tuple[tuple[Shot, ...], tuple[str, ...]]:
    """Read the frames of one ``transforms.json``-like file, and what is doubtful about it.

    convention: of the poses; ``auto`` decides as :mod:`.transforms` says.
    with_files: look for the photos; poses alone need none.
    applied: what to undo where the file has no ``applied_transform`` of its own.
    like: lends its intrinsics to frames of a file without any.
    default_size: (height, width) that intrinsics are for where no photo and no key says it.
    """
    top = read_json_object(path)
    frames = top.objects("frames")
    if not frames:
        raise SceneError(f"{path}: 'frames' is empty.")
    if with_files:
        _check_lenses(top, frames)
    matrices = [frame.matrix("transform_matrix", ((4, 4), (3, 4))) for frame in frames]
    found = [_photo(path.parent, frame) if with_files else None for frame in frames]
    # Frames whose photos are not there are taken to be of the size of one that is.
    first = next((photo for photo in found if photo is not None and photo.path.is_file()), None)
    cameras = [
        _camera(
            frame,
            top,
            photo if photo is not None and photo.path.is_file() else first,
            like,
            default_size,
        )
        for frame, photo in zip(frames, found, strict=True)
    ]
    intrinsics = [camera[0] for camera in cameras]
    chosen, doubts = choose_convention(
        top,
        convention,
        three_rows=all(matrix.shape[0] == 3 for matrix in matrices),
        normalised=all(is_normalised(k) for k in intrinsics),
    )
    undo = inverse_applied(top) if is_moved(top) else applied
    ranks, ordered = _ranks(frames)
    shots = []
    for index, (frame, matrix) in enumerate(zip(frames, matrices, strict=True)):
        pose = opencv_world_from_camera(to_4x4(matrix, frame.where), chosen)
        photo = found[index]
        shots.append(
            Shot(
                where=frame.where,
                file=None if photo is None else photo.path,
                world_from_camera=pose if undo is None else rigid(undo @ pose),
                intrinsics=intrinsics[index],
                normalised=is_normalised(intrinsics[index]),
                image_size=cameras[index][1],
                order=ranks[index],
                mask=_mask(path.parent, frame) if with_files else None,
                depth=_depth(path.parent, frame, top) if with_files else None,
                distortion=distortion_of(frame, top) if with_files else {},
                readings=_readings(matrix, chosen, undo) if with_files else {},
            )
        )
    validate_poses(shots, f"{path}: frame")
    warnings = [
        *doubts,
        *_file_warnings(top, frames, found, shots),
        *key_warnings(top, frames, [camera[1] for camera in cameras]),
        *([] if with_files else target_lens_doubts(top, frames)),
    ]
    if not ordered:
        warnings.append(
            f"{path}: the frames are listed in another order than that of their file names; the "
            "order of the names counts"
        )
    return tuple(shots), tuple(warnings)


def is_moved(top: Fields) -> bool:
    """Whether the poses of a file are not in the world that they came from."""
    return "applied_transform" in top or "applied_scale" in top


def inverse_applied(top: Fields) -> Float[Tensor, "4 4"]:
    """What undoes the ``applied_transform`` of a file, and the ``applied_scale`` after it."""
    applied = torch.eye(4, dtype=torch.float64)
    if "applied_transform" in top:
        applied = to_4x4(top.matrix("applied_transform", ((4, 4), (3, 4))), top.where).clone()
    scale = top.number_or_none("applied_scale")
    if scale is not None and not _SMALLEST < scale < _LARGEST_UNIT:
        raise SceneError(f"{top.where}, 'applied_scale': must be positive, got {scale:g}.")
    applied[:3] *= 1.0 if scale is None else scale
    if float(torch.linalg.det(applied[:3, :3]).abs()) < _SMALLEST**3:
        raise SceneError(f"{top.where}: 'applied_transform' cannot be inverted.")
    return torch.linalg.inv(applied)


def undone_scale(top: Fields) -> float:
    """By how much lengths of a file grow where its poses are moved back: depths, near and far."""
    if not is_moved(top):
        return 1.0
    return float(torch.linalg.det(inverse_applied(top)[:3, :3]).abs()) ** (1 / 3)


def rigid(pose: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
    """Take the scale of a similarity out of a camera's axes; its centre keeps it."""
    scale = float(torch.linalg.det(pose[:3, :3]).abs()) ** (1 / 3)
    if scale > 0 and abs(scale - 1) > 1e-9:
        pose = pose.clone()
        pose[:3, :3] /= scale
    return pose


def _photo(folder: Path, frame: Fields) -> Found | None:
    name = frame.text_or_none("file_path")
    return None if name is None else find_photo(folder, name, frame.where)


def _camera(
    frame: Fields,
    top: Fields,
    photo: Found | None,
    like: Shot | None,
    default_size: tuple[int, int] | None,
) -> tuple[Float[Tensor, "3 3"], tuple[int, int] | None]:
    """Intrinsics of a frame, and the (height, width) they are for where it is known."""
    merged, _ = merged_keys(frame, top)
    if like is not None and not any(key in merged for key in CAMERA_KEYS):
        return like.intrinsics, like.image_size
    stated = stated_size(merged, "h", "w")
    complete = all(key in merged for key in ("fl_x", "fl_y", "cx", "cy"))
    size = stated
    if size is None and photo is not None:
        needed = not complete or photo.scale > 1
        if needed:
            height, width = read_header(photo.path).size
            size = height * photo.scale, width * photo.scale
    if size is None and default_size is not None:
        size = None if complete else default_size
    elif size is None and like is not None:
        size = like.image_size
    return matrix_of(read_intrinsics(merged, size)), size


def _mask(folder: Path, frame: Fields) -> Path | None:
    name = frame.text_or_none("mask_path")
    if name is None:
        return None
    mask = find_photo(folder, name, frame.where).path
    return mask if mask.is_file() else None


def _depth(folder: Path, frame: Fields, top: Fields) -> DepthFile | None:
    name = frame.text_or_none(DEPTH_KEY)
    if name is None:
        return None
    place = Path(*PurePosixPath(name.replace("\\", "/")).parts)
    found = file_inside(folder, str(place), f"{frame.where}, {DEPTH_KEY!r}")
    unit = top.number_or_none(UNIT_KEY)
    if unit is not None and not 0 < unit <= _LARGEST_UNIT:
        raise SceneError(f"{top.where}, {UNIT_KEY!r}: must be positive, got {unit:g}.")
    if not found.is_file():
        return None
    where = f"{frame.where}, {DEPTH_KEY!r}"
    unit = (DEFAULT_UNIT if unit is None else unit) * undone_scale(top)
    return DepthFile(path=found, unit=unit, where=where)


def _readings(
    matrix: Float[Tensor, "_ 4"], chosen: PoseConvention, undo: Float[Tensor, "4 4"] | None
) -> dict[PoseConvention, Float[Tensor, "4 4"]]:
    """The pose under every other convention."""
    square = to_4x4(matrix, "")
    others = {
        name: opencv_world_from_camera(square, name) for name in CONVENTIONS if name != chosen
    }
    return others if undo is None else {k: rigid(undo @ pose) for k, pose in others.items()}


def _ranks(frames: Sequence[Fields]) -> tuple[list[float], bool]:
    """Place of every frame along the capture, and whether file names follow the order.

    By ``position``, which our own folders have, where every frame has one; else by file name.
    """
    if all("position" in frame for frame in frames):
        return [frame.number("position") for frame in frames], True
    names = [frame.text_or_none("file_path") for frame in frames]
    known = [name for name in names if name is not None]
    if len(set(known)) < len(names):
        return list(map(float, range(len(frames)))), True
    along = sorted(range(len(known)), key=lambda index: natural_key(known[index]))
    ranks = [0.0] * len(known)
    for rank, index in enumerate(along):
        ranks[index] = float(rank)
    return ranks, along == list(range(len(known)))


def _file_warnings(
    top: Fields, frames: Sequence[Fields], found: Sequence[Found | None], shots: Sequence[Shot]
) -> list[str]:
    path = top.where
    notes = Counter(photo.note for photo in found if photo is not None and photo.note)
    told = [f"{path}, 'file_path': {note}" for note in notes]
    twice = doubled_places(shots)
    if twice is not None:
        both, photo = "frames[{}] and frames[{}]".format(*twice), shots[twice[1]].file
        name = "" if photo is None else shown(photo.name)
        told.append(f"{path}, 'file_path': {both} have the same photo, {name}, with other poses")
    masked = sum("mask_path" in frame or "mask_path" in top for frame in frames)
    if masked:
        told.append(f"{path}, 'mask_path': the masks of {counted(masked, 'frame')} are not used")
    absent = sum(DEPTH_KEY in f and s.depth is None for f, s in zip(frames, shots, strict=True))
    if absent:
        told.append(f"{path}, {DEPTH_KEY!r}: {absent} of its files are not there")
    elsewhere = sum(_INGP_DEPTH in frame for frame in frames)
    if elsewhere:
        told.append(
            f"{path}, {_INGP_DEPTH!r}: the depths of {counted(elsewhere, 'frame')} are not used"
        )
    return told


def _check_lenses(top: Fields, frames: Sequence[Fields]) -> None:
    """Refuse lenses that are no pinhole."""
    check_model(top)
    for frame in frames:
        check_model(frame)

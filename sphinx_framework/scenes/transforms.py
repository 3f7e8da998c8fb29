"""Reader of ``transforms.json`` folders, in both conventions that are in use.

``"opengl_c2w"`` (nerfstudio, DL3DV, SEVA's data folders): ``transform_matrix`` is camera-to-world
with OpenGL axes (x right, y up, z backward), 4x4 or 3x4. An ``applied_transform`` (3x4 or 4x4) is
undone first: ``c2w <- inverse(applied) c2w``.

``"opencv_w2c"`` (RealEstate10K and ACID as the Sphinx authors store them): a 3x4 world-to-camera
matrix with OpenCV axes, inverted on reading; intrinsics normalised by the image size.

Detection with ``convention="auto"``: a file with ``applied_transform`` is ``opengl_c2w``; a file
whose matrices are all 3x4 **and** whose intrinsics are all normalised is ``opencv_w2c``; any other
is ``opengl_c2w``. A file that shows just one of the two signs is read as ``opengl_c2w`` with a
warning in :attr:`Scene.warnings`, because the file itself cannot settle it.

In both, ``fl_x fl_y cx cy w h`` stand in every frame or at the top level, which overrides; they are
in pixels, or normalised when the principal point lies in [0, 1] x [0, 1]. Inputs and targets come
from ``train_test_split_<n>.json`` (``train_ids``, ``test_ids``: indices into ``frames``); without
one, the first and the last frame are inputs and everything between them is a target.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.capture import (
    Capture,
    Shot,
    file_inside,
    is_normalised,
    stated_size,
    validate_poses,
)
from sphinx_framework.scenes.json_fields import Fields, read_json_object
from sphinx_framework.scenes.poses import opencv_world_from_camera, to_4x4

TransformsConvention = Literal["opengl_c2w", "opencv_w2c"]
CONVENTIONS: tuple[TransformsConvention, ...] = get_args(TransformsConvention)
TRANSFORMS_FILE = "transforms.json"
SPLIT_PREFIX = "train_test_split_"
DEFAULT_SPLIT = "2"
_CAMERA_KEYS = ("fl_x", "fl_y", "cx", "cy", "w", "h")
_DISTORTION_KEYS = ("k1", "k2", "k3", "k4", "p1", "p2")
_PINHOLE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")


def read_transforms(
    folder: Path, *, split: str | int | None = None, convention: str = "auto"
) -> Capture:
    """Read the cameras of a ``transforms.json`` folder; image files stay unread.

    split: the ``<n>`` of ``train_test_split_<n>.json``; ``None`` takes 2 when it is present, else
    the only one there is, else first and last frame.

    Raises:
        SceneError: missing or malformed files, unknown split or convention, unusable poses.
    """
    shots, warnings = read_transform_shots(folder / TRANSFORMS_FILE, convention=convention)
    split_file = _find_split(folder, split)
    if split_file is None:
        inputs = tuple(sorted({0, len(shots) - 1}))
        targets = tuple(range(1, len(shots) - 1))
    else:
        fields = read_json_object(split_file)
        inputs = fields.indices("train_ids", len(shots))
        targets = fields.indices("test_ids", len(shots))
    return Capture(
        name=folder.resolve().name,
        shots=shots,
        inputs=inputs,
        targets=targets,
        warnings=warnings,
    )


def read_transform_shots(
    path: Path, *, convention: str = "auto"
) -> tuple[tuple[Shot, ...], tuple[str, ...]]:
    """Read the frames of one ``transforms.json``-like file, and what is doubtful about it."""
    top = read_json_object(path)
    frames = top.objects("frames")
    if not frames:
        raise SceneError(f"{path}: 'frames' is empty.")
    merged = [_with_top_level(frame, top) for frame in frames]
    matrices = [frame.matrix("transform_matrix", ((4, 4), (3, 4))) for frame in frames]
    intrinsics = [_intrinsics(frame) for frame in merged]
    chosen, warnings = _choose_convention(top, matrices, intrinsics, convention)
    applied = None
    if chosen == "opengl_c2w" and "applied_transform" in top:
        applied = _inverse_applied(top)
    shots = []
    for index, (frame, matrix, k) in enumerate(zip(merged, matrices, intrinsics, strict=True)):
        pose = to_4x4(matrix, frame.where)
        name = frame.text_or_none("file_path")
        shots.append(
            Shot(
                where=frame.where,
                file=None if name is None else file_inside(path.parent, name, frame.where),
                world_from_camera=opencv_world_from_camera(
                    pose if applied is None else applied @ pose, chosen
                ),
                intrinsics=k,
                normalised=is_normalised(k),
                image_size=stated_size(frame, "h", "w"),
                order=float(index),
            )
        )
    validate_poses(shots, f"{path}: frame")
    return tuple(shots), (*warnings, *_lens_warnings(top, merged))


def _with_top_level(frame: Fields, top: Fields) -> Fields:
    """The frame's values, overridden by the camera keys of the top level."""
    shared = {key: top.values[key] for key in _CAMERA_KEYS if key in top}
    return Fields(values={**frame.values, **shared}, where=frame.where)


def _intrinsics(frame: Fields) -> Float[Tensor, "3 3"]:
    fl_x, fl_y, cx, cy = (frame.number(key) for key in ("fl_x", "fl_y", "cx", "cy"))
    return torch.tensor([[fl_x, 0, cx], [0, fl_y, cy], [0, 0, 1]], dtype=torch.float64)


def _choose_convention(
    top: Fields,
    matrices: Sequence[Float[Tensor, "_ 4"]],
    intrinsics: Sequence[Float[Tensor, "3 3"]],
    convention: str,
) -> tuple[TransformsConvention, tuple[str, ...]]:
    """Apply the detection rule of the module's docstring."""
    for known in CONVENTIONS:
        if convention == known:
            return known, ()
    if convention != "auto":
        raise SceneError(
            f"unknown camera convention {convention!r}.",
            hint=f"Choose one of: auto, {', '.join(CONVENTIONS)}.",
        )
    if "applied_transform" in top:
        return "opengl_c2w", ()
    three_rows = all(matrix.shape[0] == 3 for matrix in matrices)
    normalised = all(is_normalised(k) for k in intrinsics)
    if three_rows and normalised:
        return "opencv_w2c", ()
    if three_rows or normalised:
        sign = "3x4 matrices" if three_rows else "normalised intrinsics"
        return "opengl_c2w", (
            f"{top.where}: {sign} may mean OpenCV world-to-camera poses; read as OpenGL "
            "camera-to-world (convention='opencv_w2c' reads the other)",
        )
    return "opengl_c2w", ()


def _inverse_applied(top: Fields) -> Float[Tensor, "4 4"]:
    applied = to_4x4(top.matrix("applied_transform", ((4, 4), (3, 4))), top.where)
    if float(torch.linalg.det(applied).abs()) < 1e-9:
        raise SceneError(f"{top.where}: 'applied_transform' cannot be inverted.")
    return torch.linalg.inv(applied)


def _lens_warnings(top: Fields, frames: Sequence[Fields]) -> tuple[str, ...]:
    """Warn about distortion, which is ignored; refuse lenses that are no pinhole at all."""
    for fields in (top, *frames):
        model = fields.text_or_none("camera_model")
        if model is not None and model.upper() not in _PINHOLE_MODELS:
            raise SceneError(
                f"{fields.where}: the camera model {model!r} is not a pinhole camera.",
                hint="Undistort the images first.",
            )
    distorted = any(
        abs(fields.number_or_none(key) or 0.0) > 0
        for fields in (top, *frames)
        for key in _DISTORTION_KEYS
    )
    ignored = f"{top.where}: lens distortion is ignored; undistorted images give better poses"
    return (ignored,) if distorted else ()


def _find_split(folder: Path, split: str | int | None) -> Path | None:
    """Choose the split file, or ``None`` where there is none to choose."""
    names = sorted(path.stem[len(SPLIT_PREFIX) :] for path in folder.glob(f"{SPLIT_PREFIX}*.json"))
    if split is not None:
        if str(split) not in names:
            raise SceneError(
                f"{folder}: there is no split {str(split)!r}.",
                hint=f"Splits found: {', '.join(names) or 'none'}.",
            )
        chosen = str(split)
    elif DEFAULT_SPLIT in names or not names:
        chosen = DEFAULT_SPLIT
    elif len(names) == 1:
        chosen = names[0]
    else:
        raise SceneError(
            f"{folder}: several splits, none of them {DEFAULT_SPLIT!r}.",
            hint=f"Choose one with --split: {', '.join(names)}.",
        )
    return folder / f"{SPLIT_PREFIX}{chosen}.json" if names else None

"""Reader of a folder of photos with a ``cameras.json``: the simplest way to pose own photos.

::

    {
      "convention": "opencv_c2w",          or "opengl_c2w", "opencv_w2c", "opengl_w2c"
      "inputs": [
        {"file": "left.jpg",
         "pose": [[...4 numbers] x 4 or 3],
         "intrinsics": {"fx": 500, "fy": 500, "cx": 320, "cy": 240},     or a 3x3 matrix
         "width": 640, "height": 480,      optional: the size the intrinsics are for
         "position": 0},                   optional: place along the capture (time, frame number)
        ...
      ],
      "targets": [{"pose": ..., "intrinsics": ..., "file": ground truth}, ...],     optional
      "near": 0.5, "far": 20               optional depth range in the poses' units
    }

``opencv_*`` poses have axes x right, y down, z forward; ``opengl_c2w`` x right, y up, z backward.
``c2w`` maps camera to world coordinates, ``w2c`` world to camera. Intrinsics are in pixels, or
normalised by the image size when the principal point lies in [0, 1] x [0, 1]. A target without
intrinsics takes the first input's. Positions count when every input and target has one.
"""

from dataclasses import replace
from pathlib import Path

import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.capture import (
    Capture,
    Shot,
    is_normalised,
    matrix_of,
    validate_poses,
)
from sphinx_framework.scenes.files import Found, find_photo
from sphinx_framework.scenes.images import read_header
from sphinx_framework.scenes.intrinsics import named_pinhole
from sphinx_framework.scenes.json_fields import Fields, read_json_object, stated_size
from sphinx_framework.scenes.lens_keys import check_model
from sphinx_framework.scenes.poses import (
    CONVENTIONS,
    PoseConvention,
    opencv_world_from_camera,
    pose_convention,
    to_4x4,
)

CAMERAS_FILE = "cameras.json"


def read_photos(folder: Path, *, convention: str = "auto") -> Capture:
    """Read the cameras of a ``cameras.json`` folder; image files stay unread.

    convention: of the poses, for a file that does not name its own.

    Raises:
        SceneError: missing or malformed file, unknown convention, unusable poses.
    """
    path = folder / CAMERAS_FILE
    top = read_json_object(path)
    named = pose_convention(top, convention)
    inputs = [_shot(entry, folder, named, None) for entry in top.objects("inputs")]
    if not inputs:
        raise SceneError(f"{path}: 'inputs' is empty; at least one photo is needed.")
    for entry in top.objects("inputs"):
        entry.text("file")
    targets = read_target_shots(top, folder, named, inputs[0])
    validate_poses(inputs, f"{path}: input")
    validate_poses(targets, f"{path}: target")
    return Capture(
        name=folder.resolve().name,
        shots=(*inputs, *targets),
        inputs=tuple(range(len(inputs))),
        targets=tuple(range(len(inputs), len(inputs) + len(targets))),
        near=top.number_or_none("near"),
        far=top.number_or_none("far"),
        warnings=_file_notes(top, folder),
    )


def read_target_shots(
    top: Fields, folder: Path, convention: PoseConvention, like: Shot | None
) -> list[Shot]:
    """The ``targets`` of a ``cameras.json``; ``like`` lends its intrinsics to those without."""
    if "targets" not in top:
        return []
    return [_shot(entry, folder, convention, like) for entry in top.objects("targets")]


def read_target_shot(entry: Fields, convention: PoseConvention, like: Shot) -> Shot:
    """One camera without a photo; ``like`` lends its intrinsics where there are none."""
    return replace(
        _shot(
            Fields(values={**entry.values, "file": None}, where=entry.where),
            Path(),
            convention,
            like,
        ),
        file=None,
    )


def _found(entry: Fields, folder: Path) -> Found | None:
    name = entry.text_or_none("file")
    return None if name is None else find_photo(folder, name, entry.where)


def _file_notes(top: Fields, folder: Path) -> tuple[str, ...]:
    """How photos differ from their names, once for all of one kind."""
    entries = [*top.objects("inputs"), *(top.objects("targets") if "targets" in top else ())]
    found = [_found(entry, folder) for entry in entries]
    notes = dict.fromkeys(photo.note for photo in found if photo is not None and photo.note)
    return tuple(f"{top.where}, 'file': {note}" for note in notes)


def _shot(entry: Fields, folder: Path, convention: PoseConvention, like: Shot | None) -> Shot:
    check_model(entry)
    matrix = to_4x4(entry.matrix("pose", ((4, 4), (3, 4))), entry.where)
    pose = opencv_world_from_camera(matrix, convention)
    found = _found(entry, folder)
    file = None if found is None else found.path
    order = entry.number_or_none("position")
    readings = {
        name: opencv_world_from_camera(matrix, name) for name in CONVENTIONS if name != convention
    }
    if like is not None and "intrinsics" not in entry:
        return replace(
            like,
            where=entry.where,
            file=file,
            world_from_camera=pose,
            order=order,
            image_size=like.image_size or _full_size(found),
            readings=readings,
        )
    intrinsics = _intrinsics(entry)
    return Shot(
        where=entry.where,
        file=file,
        world_from_camera=pose,
        intrinsics=intrinsics,
        normalised=is_normalised(intrinsics),
        image_size=stated_size(entry, "height", "width") or _full_size(found),
        order=order,
        readings=readings,
    )


def _full_size(found: Found | None) -> tuple[int, int] | None:
    """The size of the photo that a smaller copy stands for, which its intrinsics are for."""
    if found is None or found.scale == 1:
        return None
    height, width = read_header(found.path).size
    return height * found.scale, width * found.scale


def _intrinsics(entry: Fields) -> torch.Tensor:
    if isinstance(entry.values.get("intrinsics"), list):
        matrix = entry.matrix("intrinsics", ((3, 3),))
        pinhole = torch.eye(3, dtype=matrix.dtype)
        pinhole[[0, 1, 0, 1], [0, 1, 2, 2]] = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
        if not torch.equal(pinhole, matrix):
            raise SceneError(
                f"{entry.where}, 'intrinsics': must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]."
            )
        return matrix
    return matrix_of(named_pinhole(entry))

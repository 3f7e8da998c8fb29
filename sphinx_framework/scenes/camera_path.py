"""Reader of ``camera_path.json``, the paths that nerfstudio's viewer exports.

``camera_to_world``: 16 numbers, row after row, or a 4x4 matrix; OpenGL axes. ``fov``: the whole
vertical angle in degrees; where a camera has none, ``default_fov`` counts. ``render_width``,
``render_height``: the size the path was made for. The viewer shows a scene moved and scaled to fit;
where it did, ``dataparser_transforms.json`` beside the path holds ``transform`` and ``scale``,
which are undone here. They lead from the world before the scene file's ``applied_transform`` to the
viewer's: nerfstudio writes its own transform times the applied one, its own scale times
``applied_scale``. Without that file a path stands in the world of the scene file.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.capture import Shot, matrix_of, validate_poses
from sphinx_framework.scenes.intrinsics import Pinhole, focal_of
from sphinx_framework.scenes.json_fields import Fields, read_json_object, stated_size
from sphinx_framework.scenes.poses import opencv_world_from_camera, to_4x4
from sphinx_framework.scenes.target_keys import PATH_KEY, VIEWER_FILE
from sphinx_framework.scenes.transform_frames import rigid
from sphinx_framework.scenes.world import World


def read_camera_path(
    top: Fields, path: Path, world: World | None, size: tuple[int, int]
) -> tuple[list[Shot], tuple[str, ...]]:
    """Cameras of a nerfstudio path, and what is doubtful about them.

    world: of the scene file, where it is moved. size: (height, width) where the file states none.

    Raises:
        SceneError: another kind of camera, or a matrix or angle that cannot be.
    """
    kind = top.text_or_none("camera_type") or "perspective"
    if kind.lower() != "perspective":
        raise SceneError(
            f"{top.where}, 'camera_type': {kind!r} cameras cannot be rendered; only perspective."
        )
    stated = stated_size(top, "render_height", "render_width") or size
    undo, scale, notes = _undo(top, path.parent / VIEWER_FILE, world)
    shots = []
    angle = Fields(values={"fov": top.values.get("default_fov")}, where=top.where)
    for entry in top.objects(PATH_KEY):
        pose = opencv_world_from_camera(_matrix(entry), "opengl_c2w")
        pose[:3, 3] /= scale
        pose = rigid(undo @ pose)
        height, width = stated
        focal = focal_of(entry if "fov" in entry or "default_fov" not in top else angle, height)
        shots.append(
            Shot(
                where=entry.where,
                file=None,
                world_from_camera=pose,
                intrinsics=matrix_of(Pinhole(focal, focal, width / 2, height / 2)),
                normalised=False,
                image_size=stated,
                order=None,
            )
        )
    validate_poses(shots, f"{path}: {PATH_KEY}")
    return shots, notes


def _matrix(entry: Fields) -> Float[Tensor, "4 4"]:
    return to_4x4(entry.matrix("camera_to_world", ((4, 4), (3, 4))), entry.where).clone()


def _undo(
    path: Fields, file: Path, world: World | None
) -> tuple[Float[Tensor, "4 4"], float, tuple[str, ...]]:
    """What brings poses into the scene's world (after their scale), the scale, and a doubt."""
    if not file.exists():
        applied, notes = (None, ()) if world is None else world.applied_for(path)
        return torch.eye(4, dtype=torch.float64) if applied is None else applied, 1.0, notes
    top = read_json_object(file)
    scale = top.number("scale")
    moved = to_4x4(top.matrix("transform", ((3, 4), (4, 4))), top.where)
    if scale <= 0 or abs(float(torch.linalg.det(moved))) < 1e-9:
        raise SceneError(f"{top.where}: its 'transform' or 'scale' cannot be undone.")
    return torch.linalg.inv(moved), scale, ()

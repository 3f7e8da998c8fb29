"""Cameras of a target file as the ``target_cameras`` of a request: those that ``render`` takes.

The rules are those of :mod:`sphinx_framework.scenes.targets`, without torch. What they need the
scene's photos for is refused: a server would guess something else.
"""

from pathlib import Path
from typing import Any

from sphinx_framework.client.matrices import Affine, world_from_camera
from sphinx_framework.client.worlds import own_undo, world_of
from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.intrinsics import (
    CAMERA_KEYS,
    Pinhole,
    check_shares,
    focal_of,
    key_warnings,
    merged_keys,
    named_pinhole,
    read_intrinsics,
)
from sphinx_framework.scenes.json_fields import Fields, read_json_object, stated_size
from sphinx_framework.scenes.lens_keys import check_model, target_lens_doubts
from sphinx_framework.scenes.poses import (
    PoseConvention,
    check_convention,
    choose_convention,
    pose_convention,
    target_convention,
)
from sphinx_framework.scenes.target_keys import (
    FRAMES,
    KEYFRAMES,
    PATH_KEY,
    VIEWER_FILE,
    check_target_keys,
)

_OURS: PoseConvention = "opencv_c2w"
_WRITTEN: tuple[PoseConvention, ...] = ("opengl_c2w", "opencv_w2c")  # as well, if asked for

Size = tuple[int, int]


def target_cameras(
    file: Path, convention: str, scene: Path | str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to send for a target file, and what is doubtful about it.

    convention: the request's; a server wants the targets in the one that it names.
    scene: the folder that is sent, whose world the poses may stand in, or a scene's name.

    Raises:
        SceneError: ``render`` refuses the file, or needs the scene's photos to read it.
    """
    check_convention(convention)
    top = read_json_object(file)
    check_target_keys(top, convention)
    own, notes = target_convention(top, convention)
    if PATH_KEY in top:
        poses, lenses, warnings = _of_path(top, file, scene)
    elif KEYFRAMES in top:
        raise SceneError(
            f"{file}: key frames are for render; a server takes cameras.",
            hint="Give a camera for every view, as in cameras.json or transforms.json.",
        )
    elif FRAMES in top:
        poses, lenses, warnings = _of_frames(top, own, scene)
    else:
        poses, lenses, warnings = _of_targets(top, own)
    if not poses:
        raise SceneError(f"{file}: has no cameras.")
    sent = next((known for known in _WRITTEN if known == convention), _OURS)
    written = [world_from_camera(pose, sent).rows for pose in poses]
    targets = [{"pose": pose, **lens} for pose, lens in zip(written, lenses, strict=True)]
    return {"convention": sent, "targets": targets}, (*notes, *warnings)


_Read = tuple[list[Affine], list[dict[str, Any]], tuple[str, ...]]


def _of_frames(top: Fields, convention: str, scene: Path | str) -> _Read:
    """Of a ``transforms.json``."""
    frames = top.objects("frames")
    matrices = [Affine.read(frame, "transform_matrix") for frame in frames]
    sizes = [stated_size(merged_keys(frame, top)[0], "h", "w") for frame in frames]
    lenses = [_lens_of(frame, top, size) for frame, size in zip(frames, sizes, strict=True)]
    chosen, doubts = choose_convention(
        top,
        convention,
        three_rows=all(_has_three_rows(frame) for frame in frames),
        normalised=all(lens is not None and lens.normalised for lens in lenses),
    )
    undo, notes = _undo(top, scene)
    poses = [world_from_camera(matrix, chosen) for matrix in matrices]
    if undo is not None:
        poses = [(undo @ pose).rigid() for pose in poses]
    told = [_told(lens, size) for lens, size in zip(lenses, sizes, strict=True)]
    doubts = (*doubts, *key_warnings(top, frames, sizes), *target_lens_doubts(top, frames))
    return poses, told, (*notes, *doubts)


def _of_path(top: Fields, file: Path, scene: Path | str) -> _Read:
    """Of nerfstudio's ``camera_path.json``, as :mod:`sphinx_framework.scenes.camera_path` says."""
    kind = top.text_or_none("camera_type") or "perspective"
    if kind.lower() != "perspective":
        raise SceneError(
            f"{top.where}, 'camera_type': {kind!r} cameras cannot be rendered; only perspective."
        )
    size = stated_size(top, "render_height", "render_width")
    if size is None:
        raise SceneError(
            f"{top.where}: the keys 'render_width' and 'render_height' are missing.",
            hint="Without them the size of the scene counts, which the client does not know.",
        )
    back, scale, notes = _path_undo(top, file.parent / VIEWER_FILE, scene)
    poses, lenses = [], []
    shared = Fields(values={"fov": top.values.get("default_fov")}, where=top.where)
    for entry in top.objects(PATH_KEY):
        pose = world_from_camera(Affine.read(entry, "camera_to_world"), "opengl_c2w")
        poses.append((back @ pose.moved(1 / scale)).rigid())
        angle = entry if "fov" in entry or "default_fov" not in top else shared
        focal = focal_of(angle, size[0])
        lenses.append(_told(Pinhole(focal, focal, size[1] / 2, size[0] / 2), size))
    return poses, lenses, notes


def _of_targets(top: Fields, convention: str) -> _Read:
    """Of a ``cameras.json``."""
    chosen = pose_convention(top, convention)
    poses, lenses = [], []
    for entry in top.objects("targets"):
        check_model(entry)
        poses.append(world_from_camera(Affine.read(entry, "pose"), chosen))
        lens: dict[str, Any] = {}
        if isinstance(entry.values.get("intrinsics"), list):
            rows = lens["intrinsics"] = entry.rows("intrinsics", ((3, 3),))
            given = Pinhole(rows[0][0], rows[1][1], rows[0][2], rows[1][2])
            check_shares(entry.where, given, ("fx", "fy"))
        elif "intrinsics" in entry:
            given = named_pinhole(entry)
            check_shares(entry.where, given, ("fx", "fy"))
            lens["intrinsics"] = given._asdict()
        size = stated_size(entry, "height", "width") if lens else None
        lenses.append(lens if size is None else {**lens, "width": size[1], "height": size[0]})
    return poses, lenses, ()


def _lens_of(frame: Fields, top: Fields, size: Size | None) -> Pinhole | None:
    """Intrinsics of a frame; ``None`` where it has no word of them: the scene's count then."""
    merged, _ = merged_keys(frame, top)
    if not any(key in merged for key in CAMERA_KEYS):
        return None
    return read_intrinsics(merged, size)


def _told(lens: Pinhole | None, size: Size | None) -> dict[str, Any]:
    """A camera's fields of a request but for its pose."""
    if lens is None:
        return {}
    told: dict[str, Any] = {"intrinsics": lens._asdict()}
    return told if size is None else {**told, "width": size[1], "height": size[0]}


def _has_three_rows(frame: Fields) -> bool:
    given = frame.values["transform_matrix"]
    return len(given) in (3, 12)


def _undo(top: Fields, scene: Path | str) -> tuple[Affine | None, tuple[str, ...]]:
    """What brings the poses of a file into the world of the scene, and what is doubtful then."""
    own = own_undo(top)
    if own is not None:
        return None if PATH_KEY in top else own, ()
    if isinstance(scene, Path):
        world = world_of(scene)
        return (None, ()) if world is None else world.undo_for(top)
    if scene.startswith("sha256:"):
        raise SceneError(
            f"{top.where}: whether its poses stand in the world of {scene[:19]}... is not known.",
            hint="Send the scene folder again, or give the poses as in cameras.json.",
        )
    return None, ()


def _path_undo(
    path: Fields, file: Path, scene: Path | str
) -> tuple[Affine, float, tuple[str, ...]]:
    """What brings a path's poses into the scene's world (after their scale), the scale, doubts.

    The viewer's file leads back to the world before the scene file's own transform.
    """
    if not file.exists():
        undo, notes = _undo(path, scene)
        return Affine.identity() if undo is None else undo, 1.0, notes
    top = read_json_object(file)
    scale, moved = top.number("scale"), Affine.read(top, "transform")
    if scale <= 0 or abs(moved.determinant) < 1e-9:
        raise SceneError(f"{top.where}: its 'transform' or 'scale' cannot be undone.")
    return moved.inverse(), scale, ()

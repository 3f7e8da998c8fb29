"""A scene folder as what a server takes: an archive of its cameras and photos, or photos alone."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from sphinx_framework.errors import SceneError

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
ENDINGS = (".json", *PHOTO_ENDINGS)
SCENE_FILES = ("transforms.json", "cameras.json")


def scene_folder(scene: str | Path) -> Path:
    """The folder that a path means; raises :class:`SceneError` when there is none."""
    folder = Path(scene).expanduser()
    if folder.name in SCENE_FILES:
        folder = folder.parent
    if not folder.is_dir():
        raise SceneError(
            f"{scene}: no such scene folder.", hint="Or name a generated one: procedural:demo."
        )
    return folder


def is_posed(folder: Path) -> bool:
    """Whether a folder has cameras."""
    return any((folder / name).is_file() for name in SCENE_FILES)


def photos_of(folder: Path) -> list[Path]:
    """Photos directly in a folder; raises :class:`SceneError` when there are none."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PHOTO_ENDINGS)
    if not found:
        raise SceneError(
            f"{folder}: is no scene: it has no {' or '.join(SCENE_FILES)}, and no photos."
        )
    return found


def packed(folder: Path) -> BinaryIO:
    """A zip of what a server unpacks, in a temporary file that is open for reading."""
    out = tempfile.TemporaryFile()  # noqa: SIM115 - the sender closes it
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
            if not hidden and path.is_file() and path.suffix.lower() in ENDINGS:
                archive.write(path, f"{folder.resolve().name or 'scene'}/{name.as_posix()}")
    out.seek(0)
    return out


def target_cameras(file: Path, convention: str) -> dict[str, Any]:
    """The ``target_cameras`` of a request from a file like ``cameras.json`` or ``transforms.json``.

    Raises :class:`SceneError` when the file is neither.
    """
    try:
        top = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SceneError(f"{file}: cannot be read as JSON ({error}).") from None
    if not isinstance(top, dict):
        raise SceneError(f"{file}: must hold a JSON object.")
    if "frames" in top:
        return _of_transforms(file, top, convention)
    kept = ("pose", "intrinsics", "width", "height")
    try:
        targets = [{key: entry[key] for key in kept if key in entry} for entry in top["targets"]]
        return {"convention": top["convention"], "targets": targets}
    except (KeyError, TypeError):
        raise SceneError(
            f"{file}: needs 'convention' and 'targets', as in cameras.json, or 'frames'."
        ) from None


def _of_transforms(file: Path, top: dict[str, Any], convention: str) -> dict[str, Any]:
    if "applied_transform" in top:
        raise SceneError(
            f"{file}: has an applied_transform, which targets cannot have.",
            hint="Undo it, or use the file as the scene's own.",
        )
    names = {"fx": "fl_x", "fy": "fl_y", "cx": "cx", "cy": "cy"}
    targets = []
    for frame in top["frames"]:
        camera = {**frame, **{key: top[key] for key in (*names.values(), "w", "h") if key in top}}
        target: dict[str, Any] = {"pose": camera.get("transform_matrix")}
        if all(key in camera for key in names.values()):
            target["intrinsics"] = {name: camera[key] for name, key in names.items()}
        if "w" in camera and "h" in camera:
            target |= {"width": camera["w"], "height": camera["h"]}
        targets.append(target)
    chosen = "opengl_c2w" if convention == "auto" else convention
    return {"convention": chosen, "targets": targets}

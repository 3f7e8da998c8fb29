"""Where COLMAP models lie, and their photos: as COLMAP, nerfstudio and 3DGS leave them."""

from pathlib import Path

# Where models lie: COLMAP's own places, nerfstudio's, those of 3DGS and of its undistorter.
_SPARSE = ("sparse/0", "sparse")
_AROUND = ("", "colmap/", "dense/", "dense/0/", "undistorted/", "distorted/")
_FOLDERS = (*(f"{place}{name}" for place in _AROUND for name in _SPARSE), "", "0")
ENDINGS = (".bin", ".txt")
MODEL_FILES = tuple(f"{stem}{end}" for stem in ("cameras", "images", "points3D") for end in ENDINGS)
# Folders of photos beside a model; 3DGS starts from "input".
_PHOTOS = ("images", "images_2", "images_4", "images_8", "input")


def find_model(folder: Path) -> Path | None:
    """The folder of the COLMAP model of a scene; the first where there are several, else none."""
    for name in _FOLDERS:
        if _is_model(folder / name):
            return folder / name
    return next((place for base in ("sparse", "") for place in models_in(folder / base)), None)


def scene_root(path: Path) -> Path | None:
    """The folder with the photos of the COLMAP model that a path names; ``None`` for other paths.

    path: a scene's folder, or one of a model in it, or a file of that.
    """
    folder = path.parent if path.name in MODEL_FILES else path
    model = find_model(folder)
    return None if model is None else photo_root(folder, model)


def models_in(folder: Path) -> list[Path]:
    """Numbered models, as the mapper leaves them where photos fall into several groups."""
    try:
        numbered = [place for place in folder.iterdir() if place.name.isdecimal()]
    except (OSError, ValueError):
        return []
    return [place for place in sorted(numbered, key=lambda p: int(p.name)) if _is_model(place)]


def _is_model(folder: Path) -> bool:
    try:
        return any((folder / f"cameras{end}").is_file() for end in ENDINGS)
    except (OSError, ValueError):  # a name that no folder can have
        return False


def photo_root(folder: Path, model: Path) -> Path:
    """The folder that holds the photos, the nearest above the model; it may have been named."""
    for place in (model, *model.parents[:3], folder, *model.resolve().parents[:3]):
        if any((place / name).is_dir() for name in _PHOTOS):
            return place
    return folder


def photos_place(root: Path, model: Path) -> str:
    """The folder of photos: 3DGS keeps those of a model with distortion in ``input``."""
    there = [name for name in _PHOTOS if (root / name).is_dir()]
    distorted = model.parent.parent.name == "distorted" and "input" in there
    return "input" if distorted or there == ["input"] else "images"

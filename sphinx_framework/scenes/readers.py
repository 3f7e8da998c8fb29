"""One call from a path to a fitted, validated :class:`Scene`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sphinx_framework.errors import SceneError, shown, suggestion
from sphinx_framework.geometry.resize import FITS, fit_scene
from sphinx_framework.protocols import SceneReader
from sphinx_framework.scenes.capture import Capture, build_scene
from sphinx_framework.scenes.colmap import MODEL_PLACES, read_colmap
from sphinx_framework.scenes.images import MAX_PIXELS
from sphinx_framework.scenes.json_fields import check_indices
from sphinx_framework.scenes.llff import POSES_FILE, read_llff
from sphinx_framework.scenes.photos import CAMERAS_FILE, read_photos
from sphinx_framework.scenes.re10k import is_re10k, read_re10k
from sphinx_framework.scenes.targets import (
    TargetSpec,
    check_count,
    choose_targets,
    parse_targets,
    select_targets,
)
from sphinx_framework.scenes.transforms import TRAIN_FILE, TRANSFORMS_FILE, read_transforms
from sphinx_framework.scenes.world import scene_world
from sphinx_framework.types import Scene

PROCEDURAL = "procedural:"
_FOLDER_READERS = {
    "transforms": (TRANSFORMS_FILE, TRAIN_FILE),
    "photos": (CAMERAS_FILE,),
    "colmap": MODEL_PLACES,
    "llff": (POSES_FILE,),
}
# DL3DV keeps a scene's transforms.json one folder down.
_DL3DV = "nerfstudio"
_FILES = (TRANSFORMS_FILE, CAMERAS_FILE, TRAIN_FILE)


def convert_path(path: str | Path) -> Path:
    """Turn a user's scene path into a :class:`Path`.

    ``procedural:...`` names a generated scene of a plugin, not a folder, and is kept as it is;
    anything else may begin with ``~``. The path of a scene's JSON file stands for its folder.
    """
    if str(path).startswith(PROCEDURAL):
        return Path(path)
    try:
        found = Path(path).expanduser()
        found.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise SceneError(f"{shown(path)}: cannot be opened ({shown(error)}).") from None
    if found.name in _FILES:
        return found.parent
    marked = any((found / mark).exists() for marks in _FOLDER_READERS.values() for mark in marks)
    inner = found / _DL3DV
    return inner if not marked and (inner / TRANSFORMS_FILE).is_file() else found


def read_scene(  # noqa: PLR0913 - every argument is an option of the command line
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
    targets: str | None = None,
    reader: str | None = None,
    split: str | int | None = None,
    near: float | None = None,
    far: float | None = None,
    convention: str = "auto",
    max_pixels: int = MAX_PIXELS,
    extra_readers: Iterable[SceneReader] = (),
) -> Scene:
    """Read a scene, fit it to a size, choose its targets and check it.

    Args:
        path: a folder with ``transforms.json`` (:mod:`.transforms`) or ``cameras.json``
            (:mod:`.photos`), or anything an extra reader can read, such as ``procedural:...``.
        size: ``(height, width)`` in pixels for all images; ``None`` keeps the scene's own.
        fit: how to get there: ``"crop"``, ``"pad"`` or ``"stretch"``.
        targets: which viewpoints to render, see :mod:`.targets`; ``None`` is the scene's own.
        reader: name of the reader, when the automatic choice is not wanted.
        split: which ``train_test_split_<split>.json`` of a ``transforms.json`` folder.
        near: nearest depth in scene units; together with ``far`` it overrides the scene's own.
        far: farthest depth in scene units.
        convention: of ``transform_matrix``, see :mod:`.transforms`.
        max_pixels: larger photos are refused before they are decoded.
        extra_readers: further readers, tried after the built-in ones. An attribute ``name`` makes
            one selectable. Options set here reach ``read`` as ``size``, ``split``, ``convention``.

    Returns:
        A validated scene; ground truth is in ``target_images`` where every target has its file.

    Raises:
        SceneError: anything about the input that cannot be used, in one sentence.
    """
    spec = parse_targets(targets)
    _check_options(size, fit, near, far)
    place = convert_path(path)
    name, external = _choose_reader(place, reader, list(extra_readers))
    if external is not None:
        options = _given(size=size, split=split, convention=convention)
        scene = _own_scene(external.read(place, **options), spec, size, fit)
    else:
        capture = _read_capture(name, place, split, convention)
        scene = build_scene(capture, _frames(capture, spec), size, fit, max_pixels=max_pixels)
    scene = replace(
        scene,
        near=scene.near if near is None else near,
        far=scene.far if far is None else far,
    )
    check_range(scene.near, scene.far)
    file = place / TRANSFORMS_FILE
    world = scene_world(file) if spec.kind == "file" and file.is_file() else None
    scene = choose_targets(scene, spec, fit=fit, convention=convention, world=world)
    check_count(len(scene.targets))
    scene.validate()
    return scene


def read_capture(
    path: str | Path,
    *,
    reader: str | None = None,
    split: str | int | None = None,
    convention: str = "auto",
    extra_readers: Iterable[SceneReader] = (),
) -> Capture | None:
    """All frames of a folder that a built-in reader reads; ``None`` for scenes of other readers.

    Raises:
        SceneError: as :func:`read_scene`.
    """
    place = convert_path(path)
    name, external = _choose_reader(place, reader, list(extra_readers))
    return None if external is not None else _read_capture(name, place, split, convention)


def _frames(capture: Capture, spec: TargetSpec) -> tuple[int, ...]:
    """Frames of a capture to load as targets; none when a path replaces them anyway."""
    if spec.kind == "indices":
        return check_indices(spec.indices, len(capture.shots), "targets 'indices'")
    if spec.kind != "split":
        return ()
    check_count(len(capture.targets))
    return capture.targets


def _own_scene(scene: Scene, spec: TargetSpec, size: tuple[int, int] | None, fit: str) -> Scene:
    """A plugin's scene, fitted, with the chosen ones of its own targets."""
    if spec.kind == "indices":
        scene = select_targets(scene, spec.indices)
    if size is None or size == tuple(scene.images.shape[-2:]):
        return scene
    return fit_scene(scene, size, fit)


def _read_capture(name: str, folder: Path, split: str | int | None, convention: str) -> Capture:
    readers: dict[str, Callable[[], Capture]] = {
        "transforms": lambda: read_transforms(folder, split=split, convention=convention),
        "photos": lambda: read_photos(folder, convention=convention),
        "colmap": lambda: read_colmap(folder),
        "llff": lambda: read_llff(folder),
        "re10k": lambda: read_re10k(folder),
    }
    return readers[name]()


def _choose_reader(
    path: Path, wanted: str | None, extra: list[SceneReader]
) -> tuple[str, SceneReader | None]:
    """Name of the reader, and the reader itself when it is not built in."""
    names = [str(getattr(reader, "name", type(reader).__name__)) for reader in extra]
    if wanted is not None:
        if wanted in _FOLDER_READERS:
            _require_folder(path)
            if not any((path / mark).is_file() for mark in _FOLDER_READERS[wanted]):
                needed = " or ".join(_FOLDER_READERS[wanted][:4])
                raise SceneError(f"{path}: the reader {wanted!r} needs {needed} there.")
            return wanted, None
        if wanted == "re10k" and is_re10k(path):
            return wanted, None
        if wanted in names:
            return wanted, extra[names.index(wanted)]
        known = [*_FOLDER_READERS, "re10k", *names]
        raise SceneError(
            f"there is no scene reader {wanted!r}.",
            hint=f"{suggestion(wanted, known)}Readers: {', '.join(known)}.",
        )
    for name, marks in _FOLDER_READERS.items():
        if any((path / mark).is_file() for mark in marks):
            return name, None
    if is_re10k(path):
        return "re10k", None
    for name, reader in zip(names, extra, strict=True):
        if reader.can_read(path):
            return name, reader
    if str(path).startswith(PROCEDURAL):
        raise SceneError(
            f"no installed scene reader generates {str(path)!r}.",
            hint="Install a plugin that does; 'sphinx-nvs plugins' lists what there is.",
        )
    _require_folder(path)
    known = [*_FILES, "sparse/0/cameras.bin", POSES_FILE]
    raise SceneError(
        f"{path}: is no scene any reader knows.",
        hint=f"Looked for {', '.join(known)}"
        + (f"; asked the readers {', '.join(names)}." if names else "."),
    )


def _require_folder(path: Path) -> None:
    if not path.exists():
        raise SceneError(f"{path}: no such scene folder.")
    if not path.is_dir():
        raise SceneError(f"{path}: is a file; a scene is a folder.")


def _check_options(
    size: tuple[int, int] | None, fit: str, near: float | None, far: float | None
) -> None:
    if fit not in FITS:
        raise SceneError(f"unknown fit {fit!r}.", hint=f"Choose one of: {', '.join(FITS)}.")
    if size is not None and min(size) < 1:
        raise SceneError(f"the size {size} must be at least 1x1 (height, width).")
    check_range(near, far)


def check_range(near: float | None, far: float | None) -> None:
    """Refuse a depth range of which one end is missing, or that is none."""
    if (near is None) != (far is None):
        raise SceneError("give both near and far, or neither.")
    if near is not None and far is not None and not 0 < near < far:
        raise SceneError(
            f"the depth range must satisfy 0 < near < far, got near={near:g}, far={far:g}."
        )


def _given(**options: Any) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {k: v for k, v in options.items() if v is not None and v != "auto"}

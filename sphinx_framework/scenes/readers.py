"""One call from a path to a fitted, validated :class:`Scene`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sphinx_framework.errors import SceneError, shown, suggestion
from sphinx_framework.geometry.resize import FITS, fit_scene
from sphinx_framework.protocols import SceneReader
from sphinx_framework.scenes.asked import asked_path, asked_pixels, asked_size, check_names
from sphinx_framework.scenes.build import build_scene
from sphinx_framework.scenes.capture import Capture
from sphinx_framework.scenes.checks import check_range
from sphinx_framework.scenes.formats import FORMATS, CaptureReader, built_in
from sphinx_framework.scenes.images import MAX_PIXELS
from sphinx_framework.scenes.json_fields import check_indices
from sphinx_framework.scenes.memory import check_memory, enough_memory
from sphinx_framework.scenes.pictures import input_size
from sphinx_framework.scenes.targets import (
    TargetSpec,
    check_count,
    choose_targets,
    parse_targets,
    select_targets,
)
from sphinx_framework.scenes.world import scene_world
from sphinx_framework.texts import counted
from sphinx_framework.types import Scene
from sphinx_framework.types.arrays import as_number

PROCEDURAL = "procedural:"
_MOST_NAMED, _MOST_LOOKED_AT = 6, 100


def scene_path(path: str | Path) -> Path:
    """Turn a user's scene path into a :class:`Path`.

    ``procedural:...`` names a generated scene of a plugin, not a folder, and is kept as it is;
    anything else may begin with ``~``.
    """
    path = asked_path(path, "the scene's path")
    if str(path).startswith(PROCEDURAL):
        return Path(path)
    if not str(path).strip():  # Path("") is the current folder, which nobody named
        raise SceneError("the scene's path is empty.", hint="Name a scene; '.' is this folder.")
    try:
        found = Path(path).expanduser()
        found.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise SceneError(f"{shown(path)}: cannot be opened ({shown(error)}).") from None
    return found


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
    readers: Iterable[SceneReader] | None = None,
) -> Scene:
    """Read a scene, fit it to a size, choose its targets and check it.

    Args:
        path: a scene in any format that a reader takes: a folder, a file, ``procedural:...``.
        size: ``(height, width)`` in pixels for all images; ``None`` keeps the scene's own.
        fit: how to get there: ``"crop"``, ``"pad"`` or ``"stretch"``.
        targets: which viewpoints to render, see :mod:`.targets`; ``None`` is the scene's own.
        reader: name of the reader, when the automatic choice is not wanted.
        split: which ``train_test_split_<split>.json`` of a ``transforms.json`` folder; of chunks,
            the file of an evaluation index.
        near: nearest depth in scene units; together with ``far`` it overrides the scene's own.
        far: farthest depth in scene units.
        convention: of ``transform_matrix``, see :mod:`.transforms`.
        max_pixels: larger photos are refused before they are decoded.
        readers: those to ask, in this order; ``None`` are the core's own (:mod:`.formats`). An
            attribute ``name`` makes one selectable. Options set here reach ``read`` as ``size``,
            ``split``, ``convention``.

    Returns:
        A validated scene; ground truth is in ``target_images`` where every target has its file.

    Raises:
        SceneError: anything about the input that cannot be used, in one sentence.
    """
    spec = parse_targets(targets)
    check_names(fit=fit, reader=reader, convention=convention)
    size, near, far = asked_size(size), as_number(near, "near"), as_number(far, "far")
    max_pixels = asked_pixels(max_pixels)
    _check_options(fit, near, far)
    place = scene_path(path)
    chosen = choose_reader(place, reader, built_in() if readers is None else list(readers))
    options = _given(split=split, convention=convention)
    capture = _captured(chosen, place, options)
    if capture is None:
        if size is not None:
            check_memory(2, size)  # how many pictures the plugin makes, only it knows
        own_scene = chosen.read(place, **_given(size=size), **options)
        photo_size = own_scene.inputs.image_size
        scene = _own_scene(own_scene, spec, size, fit)
    else:
        frames = _frames(capture, spec)
        if near is not None and far is not None and capture.near is None and capture.far is None:
            capture = replace(capture, near=near, far=far)  # no depths are read for what is given
        if size is not None:
            check_memory(len(capture.inputs) + max(len(frames), spec.count), size)
        with enough_memory(shown(path)):
            scene = build_scene(capture, frames, size, fit, max_pixels=max_pixels)
        photo_size = None
        if spec.kind == "file":  # only its intrinsics may be for the photos
            first = capture.shots[capture.inputs[0]]
            photo_size = first.image_size or input_size(first, max_pixels)
    scene = replace(
        scene,
        near=scene.near if near is None else near,
        far=scene.far if far is None else far,
    )
    own = near is None and far is None
    check_range(scene.near, scene.far, str(_poses_file(capture) or shown(path)) if own else "")
    file = _poses_file(capture)
    world = scene_world(file) if spec.kind == "file" and file is not None else None
    scene = choose_targets(
        scene, spec, fit=fit, convention=convention, photo_size=photo_size, world=world
    )
    check_count(len(scene.targets))
    check_memory(len(scene.targets), scene.targets.image_size)  # the photos are in it already
    scene.validate()
    return scene


def read_capture(
    path: str | Path,
    *,
    reader: str | None = None,
    split: str | int | None = None,
    convention: str = "auto",
    readers: Iterable[SceneReader] | None = None,
) -> Capture | None:
    """All frames of a scene; ``None`` where its reader cannot tell them.

    Raises:
        SceneError: as :func:`read_scene`.
    """
    place = scene_path(path)
    chosen = choose_reader(place, reader, built_in() if readers is None else list(readers))
    return _captured(chosen, place, _given(split=split, convention=convention))


def _poses_file(capture: Capture | None) -> Path | None:
    return None if capture is None else capture.poses_file


def _captured(reader: SceneReader, path: Path, options: dict[str, Any]) -> Capture | None:
    return reader.capture(path, **options) if isinstance(reader, CaptureReader) else None


def _frames(capture: Capture, spec: TargetSpec) -> tuple[int, ...]:
    """Frames of a capture to load as targets; none when a path replaces them anyway."""
    if spec.kind == "indices":
        return check_indices(spec.indices, len(capture.shots), "targets 'indices'")
    if spec.kind != "split":
        return ()
    check_count(len(capture.targets), capture.no_targets)
    return capture.targets


def _own_scene(scene: Scene, spec: TargetSpec, size: tuple[int, int] | None, fit: str) -> Scene:
    """A plugin's scene, fitted, with the chosen ones of its own targets."""
    if spec.kind == "indices":
        scene = select_targets(scene, spec.indices)
    if size is None or size == tuple(scene.images.shape[-2:]):
        return scene
    check_memory(len(scene.inputs), size)
    with enough_memory(scene.name):
        return fit_scene(scene, size, fit)


def choose_reader(path: Path, wanted: str | None, readers: Sequence[SceneReader]) -> SceneReader:
    """The reader of that name, or the first that takes the path.

    Raises:
        SceneError: there is no such reader, or none that takes the path.
    """
    names = [str(getattr(reader, "name", type(reader).__name__)) for reader in readers]
    if wanted is not None:
        if wanted in names:
            return readers[names.index(wanted)]
        raise SceneError(
            f"there is no scene reader {shown(wanted)!r}.",
            hint=f"{suggestion(wanted, names)}Readers: {', '.join(names)}.",
        )
    for reader in readers:
        if reader.can_read(path):
            return reader
    if str(path).startswith(PROCEDURAL):
        raise SceneError(
            f"no installed scene reader generates {str(path)!r}.",
            hint="Install a plugin that does; 'sphinx-nvs plugins' lists what there is.",
        )
    if not path.exists():
        raise SceneError(f"{shown(path)}: no such scene folder.")
    marks = ", ".join(format.marks[0] for format in FORMATS if format.marks)
    what = "is no scene any reader knows" if path.is_dir() else "is a file that no reader knows"
    inner = _scenes_inside(path, readers)
    if inner:
        raise SceneError(
            f"{shown(path)}: {what}, but holds {counted(len(inner), 'folder')} that "
            f"{'is one' if len(inner) == 1 else 'are'}: {', '.join(inner[:_MOST_NAMED])}.",
            hint=f"Name one, such as {shown(path / inner[0])}, or take all by --scenes.",
        )
    raise SceneError(
        f"{shown(path)}: {what}.",
        hint=f"A scene is a folder with one of {marks}, a RealEstate10K .txt or .torch file, a "
        f"folder of photos or a video; asked the readers {', '.join(names)}.",
    )


def _scenes_inside(path: Path, readers: Sequence[SceneReader]) -> list[str]:
    """Names of the folders of a folder that a reader takes."""
    try:
        places = sorted(place for place in path.iterdir() if place.is_dir())[:_MOST_LOOKED_AT]
    except OSError:
        return []
    return [shown(p.name) for p in places if any(reader.can_read(p) for reader in readers)]


def _check_options(fit: str, near: float | None, far: float | None) -> None:
    if fit not in FITS:
        raise SceneError(f"unknown fit {fit!r}.", hint=f"Choose one of: {', '.join(FITS)}.")
    check_range(near, far)


def _given(**options: Any) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {k: v for k, v in options.items() if v is not None and v != "auto"}

"""Reader of ``transforms.json`` folders: nerfstudio, instant-ngp, Blender, DL3DV, SEVA, RE10K.

Poses are ``transform_matrix``, 4x4 or 3x4, in one of four conventions:

``opengl_c2w`` (nerfstudio, instant-ngp, Blender, DL3DV, SEVA): camera-to-world, axes x right, y up,
z backward. ``opencv_w2c`` (RealEstate10K and ACID as the Sphinx authors store them):
world-to-camera, axes x right, y down, z forward. ``opencv_c2w`` and ``opengl_w2c`` are the two
other pairings, never guessed: ``convention`` names them. An ``applied_transform`` (3x4 or 4x4) is
undone in all of them: ``c2w <- inverse(applied) c2w``; so is an ``applied_scale``.

With ``convention="auto"``, a file with ``applied_transform``, ``orientation_override`` or
``ply_file_path`` is ``opengl_c2w``; a file whose matrices are all 3x4 **and** whose intrinsics are
all normalised is ``opencv_w2c``; any other is ``opengl_c2w``. A file that shows just one of the two
signs is read as ``opengl_c2w`` with a warning, because the file itself cannot settle it.

``fl_x fl_y cx cy w h camera_angle_x camera_angle_y`` stand in every frame or at the top level,
which overrides; see :mod:`.intrinsics` for what may be missing. They are in pixels, or normalised
when the principal point lies in [0, 1] x [0, 1]. Photos are found as :mod:`.files` says.

``near`` and ``far`` at the top level are the depth range, in units of the poses; ``position`` in
every frame is its place along the capture, which is the rank of its file name otherwise.

Inputs and targets come from, in this order: ``train_test_split_<n>.json`` (``train_ids``,
``test_ids``: indices into ``frames``); ``train_filenames`` and ``test_filenames`` (or
``val_filenames``) of the file; ``transforms_train.json`` with ``transforms_test.json`` (or
``_val.json``) instead of ``transforms.json``; else, in the order of the file names, the first and
the last frame are inputs and everything between them is a target.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, Shot
from sphinx_framework.scenes.files import find_photo
from sphinx_framework.scenes.json_fields import Fields, read_json_object
from sphinx_framework.scenes.transform_frames import read_transform_shots, undone_scale

TRANSFORMS_FILE = "transforms.json"
TRAIN_FILE = "transforms_train.json"
_TARGET_FILES = ("transforms_test.json", "transforms_val.json")
SPLIT_PREFIX = "train_test_split_"
DEFAULT_SPLIT = "2"


def read_transforms(
    folder: Path, *, split: str | int | None = None, convention: str = "auto"
) -> Capture:
    """Read the cameras of a ``transforms.json`` folder, or such a file; image files stay unread.

    split: the ``<n>`` of ``train_test_split_<n>.json``; ``None`` takes 2 when it is present, else
    the only one there is, else what the module's docstring says.

    Raises:
        SceneError: missing or malformed files, unknown split or convention, unusable poses.
    """
    path = folder if folder.is_file() else folder / TRANSFORMS_FILE
    folder = path.parent
    shots, warnings = read_transform_shots(path, convention=convention)
    split_file = _find_split(folder, split)
    if split_file is not None:
        fields = read_json_object(split_file)
        inputs = fields.indices("train_ids", len(shots))
        targets = fields.indices("test_ids", len(shots))
        if not inputs:
            raise SceneError(f"{split_file}, 'train_ids': names no input photo.")
        none = f"{split_file}, 'test_ids': is empty"
    else:
        named = _named_split(read_json_object(path), shots)
        if named is None:
            none = ""
            shots = tuple(sorted(shots, key=lambda shot: shot.order or 0.0))
            inputs = tuple(sorted({0, len(shots) - 1}))
            targets = tuple(range(1, len(shots) - 1))
        else:
            inputs, targets, none = named
    near, far = _stated_range(read_json_object(path))
    return Capture(
        name=folder.resolve().name if path.name == TRANSFORMS_FILE else path.stem,
        shots=shots,
        inputs=inputs,
        targets=targets,
        near=near,
        far=far,
        warnings=warnings,
        poses_file=path,
        no_targets="" if targets else none,
    )


def has_frames(path: Path) -> bool:
    """Whether a JSON file has frames with poses, whatever its name."""
    try:
        frames = read_json_object(path).values.get("frames") if path.is_file() else None
    except (SceneError, OSError, ValueError):
        return False
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(first, dict) and "transform_matrix" in first


def read_train_and_test(folder: Path, *, convention: str = "auto") -> Capture:
    """Blender's and NeRF-synthetic's pair of files: the inputs in one, the targets in another.

    Raises:
        SceneError: as :func:`read_transforms`.
    """
    inputs, warnings = read_transform_shots(folder / TRAIN_FILE, convention=convention)
    others: list[tuple[Shot, ...]] = []
    for file in _TARGET_FILES:
        if (folder / file).exists():
            found, more = read_transform_shots(folder / file, convention=convention, like=inputs[0])
            others.append(found)
            warnings += more
    targets = others[0] if others else ()
    # What is in neither may be chosen by number, and is kept by whoever copies the scene.
    rest = [shot for found in others[1:] for shot in found]
    shots = tuple(replace(shot, order=None) for shot in (*inputs, *targets, *rest))
    near, far = _stated_range(read_json_object(folder / TRAIN_FILE))
    return Capture(
        name=folder.resolve().name,
        shots=shots,
        inputs=tuple(range(len(inputs))),
        targets=tuple(range(len(inputs), len(inputs) + len(targets))),
        near=near,
        far=far,
        warnings=warnings,
        poses_file=folder / TRAIN_FILE,
    )


def _stated_range(top: Fields) -> tuple[float | None, float | None]:
    """Near and far of a file, in the world that its poses are moved back to."""
    scale = undone_scale(top)
    near, far = (top.number_or_none(key) for key in ("near", "far"))
    return None if near is None else scale * near, None if far is None else scale * far


def _named_split(
    top: Fields, shots: Sequence[Shot]
) -> tuple[tuple[int, ...], tuple[int, ...], str] | None:
    """Inputs and targets by ``train_filenames`` and ``test_filenames`` or ``val_filenames``.

    The text is why there are no targets, if there are none.

    A name means the frame with that ``file_path``, else the one with the photo that it leads to.
    """
    if "train_filenames" not in top:
        return None
    key = next((k for k in ("test_filenames", "val_filenames") if k in top), None)
    places = {
        _plain(frame.text_or_none("file_path") or ""): index
        for index, frame in enumerate(top.objects("frames"))
    }
    photos = {shot.file: index for index, shot in enumerate(shots) if isinstance(shot.file, Path)}
    inputs = _indices(top, "train_filenames", places, photos)
    if not inputs:
        raise SceneError(f"{top.where}, 'train_filenames': names no input photo.")
    if key is None:
        return inputs, (), f"{top.where}, 'train_filenames': has no 'test_filenames' beside it"
    return inputs, _indices(top, key, places, photos), f"{top.where}, {key!r}: is empty"


def _plain(name: str) -> str:
    """A file name as it is compared: Windows wrote some, and ``./`` says nothing."""
    return posixpath.normpath(name.replace("\\", "/"))


def _indices(
    top: Fields, key: str, places: dict[str, int], photos: dict[Path, int]
) -> tuple[int, ...]:
    folder, found = Path(top.where).parent, []
    for name in top.texts(key):
        index = places.get(_plain(name))
        if index is None:
            index = photos.get(find_photo(folder, name, f"{top.where}, {key!r}").path)
        if index is None:
            raise SceneError(f"{top.where}, {key!r}: no frame has the 'file_path' {shown(name)!r}.")
        found.append(index)
    if len(set(found)) != len(found):
        raise SceneError(f"{top.where}, {key!r}: names a frame twice.")
    return tuple(found)


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

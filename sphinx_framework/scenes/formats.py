"""The scene formats of the core as readers: which files each knows, and the function that reads it.

A reader with a ``capture`` answers with all frames of a scene and loads no photo: single frames can
be chosen then, and ``import`` copies the photos as they are. ``read`` loads what the scene itself
names. Plugins may offer the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.build import build_scene
from sphinx_framework.scenes.capture import Capture
from sphinx_framework.scenes.chunks import named_chunk, read_chunk
from sphinx_framework.scenes.colmap import read_colmap
from sphinx_framework.scenes.colmap_places import MODEL_FILES, find_model
from sphinx_framework.scenes.llff import POSES_FILE, read_llff
from sphinx_framework.scenes.mask_files import with_masks
from sphinx_framework.scenes.photos import CAMERAS_FILE, read_photos
from sphinx_framework.scenes.poses import check_convention
from sphinx_framework.scenes.re10k import find_re10k, read_re10k
from sphinx_framework.scenes.transforms import (
    TRAIN_FILE,
    TRANSFORMS_FILE,
    has_frames,
    read_train_and_test,
    read_transforms,
)
from sphinx_framework.types import Scene

# DL3DV keeps a scene's transforms.json one folder down.
_DL3DV = "nerfstudio"


@runtime_checkable
class CaptureReader(Protocol):
    """A scene reader that also tells every frame of a scene without loading photos."""

    def capture(self, path: Path, **options: Any) -> Capture | None:
        """All frames; ``None`` where the format cannot tell them. Options as of ``read``."""
        ...


class FormatReader:
    """One format of the core.

    marks: files of which a folder of this format has one; a path may name it as well.
    fixed: the convention of poses that the format prescribes, "" where the user may name one.
    """

    name: ClassVar[str]
    marks: ClassVar[tuple[str, ...]] = ()
    fixed: ClassVar[str] = ""

    def __init__(self, options: object = None, device: object = None) -> None:
        """Take what every component is built with; there is nothing to choose."""

    def place(self, path: Path) -> Path | None:
        """What to read: the folder with a mark, or ``None`` where the path is none of this kind."""
        if path.name in self.marks and _is_file(path):
            return path.parent
        return path if any(_is_file(path / mark) for mark in self.marks) else None

    def can_read(self, path: Path) -> bool:
        """Whether the path looks like this format."""
        return self.place(path) is not None

    def capture(self, path: Path, **options: Any) -> Capture:
        """All frames; options ``split`` and ``convention``, as :func:`.readers.read_scene` says.

        Raises:
            SceneError: the path is none of this format, or anything that cannot be used.
        """
        place = self.place(path)
        if place is None:
            _require_there(path)
            needed = " or ".join(self.marks[:4]) or "another path"
            raise SceneError(f"{shown(path)}: the reader {self.name!r} needs {needed} there.")
        convention = str(options.get("convention", "auto"))
        check_convention(convention)
        capture = with_masks(self._read(place, options.get("split"), convention))
        if self.fixed and convention not in ("auto", self.fixed):
            told = f"{shown(path)}: its poses are {self.fixed}; {convention} is not applied to them"
            capture = replace(capture, warnings=(*capture.warnings, told))
        return capture

    def read(self, path: Path, **options: Any) -> Scene:
        """The scene with the targets that it names itself, at the size of its photos."""
        capture = self.capture(path, **options)
        return build_scene(capture, capture.targets, None, "crop")

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        raise NotImplementedError


class TransformsReader(FormatReader):
    """``transforms.json`` folders."""

    name = "transforms"
    marks = (TRANSFORMS_FILE,)

    def place(self, path: Path) -> Path | None:
        """Also DL3DV's, one folder down, and a file of another name with such frames."""
        inner = path / _DL3DV
        if path.suffix.lower() == ".json" and path.name != TRAIN_FILE and has_frames(path):
            return path.parent if path.name == TRANSFORMS_FILE else path
        return super().place(path) or (inner if _is_file(inner / TRANSFORMS_FILE) else None)

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        return read_transforms(place, split=split, convention=convention)


class BlenderReader(FormatReader):
    """``transforms_train.json`` with its targets in another file."""

    name = "blender"
    marks = (TRAIN_FILE,)

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        _refuse_split(place, split)
        return read_train_and_test(place, convention=convention)


class PhotosReader(FormatReader):
    """``cameras.json`` folders."""

    name = "photos"
    marks = (CAMERAS_FILE,)

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        _refuse_split(place, split)
        return read_photos(place, convention=convention)


class ColmapReader(FormatReader):
    """COLMAP models."""

    name = "colmap"
    marks = ("sparse/0/cameras.bin", "sparse/0/cameras.txt")
    fixed = "opencv_w2c"

    def place(self, path: Path) -> Path | None:
        """A folder with a model in one of the usual places, or a file of a model."""
        if path.name in MODEL_FILES and _is_file(path):
            path = path.parent
        return path if find_model(path) is not None else None

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        _refuse_split(place, split)
        return read_colmap(place)


class LlffReader(FormatReader):
    """LLFF captures."""

    name = "llff"
    marks = (POSES_FILE,)
    fixed = "camera-to-world with axes down, right, backward"

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        _refuse_split(place, split)
        return read_llff(place)


class Re10kReader(FormatReader):
    """Camera files of RealEstate10K and ACID."""

    name = "re10k"
    fixed = "opencv_w2c"

    def place(self, path: Path) -> Path | None:
        """The text file itself, or the only one of a folder."""
        return find_re10k(path)

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        _refuse_split(place, split)
        return read_re10k(place)


class ChunksReader(FormatReader):
    """Chunks of RealEstate10K and ACID."""

    name = "chunks"
    fixed = "opencv_w2c"

    def place(self, path: Path) -> Path | None:
        """The path with the key behind its colon, as it was given."""
        return path if named_chunk(path) is not None else None

    def _read(self, place: Path, split: str | int | None, convention: str) -> Capture:
        return read_chunk(place, index=None if split is None else Path(str(split)))


FORMATS: tuple[type[FormatReader], ...] = (
    TransformsReader,
    BlenderReader,
    PhotosReader,
    ColmapReader,
    LlffReader,
    Re10kReader,
    ChunksReader,
)


def built_in() -> Sequence[FormatReader]:
    """The readers of the core, in the order in which they are asked."""
    return [reader() for reader in FORMATS]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _require_there(path: Path) -> None:
    if not path.exists():
        raise SceneError(f"{shown(path)}: no such scene folder.")


def _refuse_split(place: Path, split: str | int | None) -> None:
    if split is not None:
        raise SceneError(
            f"{shown(place)}: has no splits to choose from; --split {shown(split)} means nothing.",
            hint="Splits are train_test_split_<N>.json beside transforms.json; leave --split out.",
        )

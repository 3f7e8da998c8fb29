"""The contract of scene readers: what they claim to read, and what they do with the rest."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sphinx_framework.errors import InputError
from sphinx_framework.protocols import SceneReader
from sphinx_framework.testing.contracts.base import Contract, NotApplicable


class SceneReaderContract(Contract):
    """One scene format.

    sample: path of a scene that the reader reads. A reader may name one itself, as the attribute
        ``sample``; ``sphinx-nvs check NAME --sample PATH`` gives another.
    """

    sample: str | Path | None = None
    paragraph = "A scene reader"

    def _sample(self) -> Path:
        found = self.sample or getattr(self.make(), "sample", None)
        if found is None:
            raise NotApplicable("no sample scene: give one with --sample PATH")
        return Path(found)

    def test_declines_what_is_not_its_format(self) -> None:
        reader: SceneReader = self.make()
        with _junk() as junk:
            for path in junk:
                came = reader.can_read(path)
                self.expect(came is False, f"can_read to answer False for {path.name!r}", came)

    def test_refuses_with_one_sentence(self) -> None:
        reader: SceneReader = self.make()
        with _junk() as junk:
            for path in junk:
                try:
                    reader.read(path)
                except InputError:
                    continue
                except Exception as error:  # any other error is the defect that is looked for
                    self.expect(False, f"a SceneError for {path.name!r}", repr(error))
                self.expect(False, f"a SceneError for {path.name!r}", "a scene")

    def test_reads_its_sample_as_a_valid_scene(self) -> None:
        path = self._sample()
        reader: SceneReader = self.make()
        self.expect(reader.can_read(path) is True, f"can_read to answer True for {path}", "False")
        scene = reader.read(path)
        scene.validate()
        self.expect(scene.images.dtype == torch.float32, "float32 images", scene.images.dtype)

    def test_reads_the_same_twice_and_writes_nothing(self) -> None:
        path = self._sample()
        reader: SceneReader = self.make()
        before = _listing(path)
        first, second = reader.read(path), reader.read(path)
        self.expect(_listing(path) == before, "the scene's files as they were", "changed files")
        same = torch.equal(first.images, second.images) and torch.equal(
            first.targets.world_from_camera, second.targets.world_from_camera
        )
        self.expect(same, "the same scene twice", "another scene")


@contextmanager
def _junk() -> Iterator[list[Path]]:
    """A missing path, an empty folder, a file and a folder of bytes that are no scene."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "empty").mkdir()
        (root / "other").mkdir()
        for file in ("file.bin", "other/notes.bin"):
            (root / file).write_bytes(bytes(range(256)))
        yield [root / "missing", root / "empty", root / "file.bin", root / "other"]


def _listing(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files of a scene; empty for what is no folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]

"""The contract of scene readers: what they claim to read, and what they do with the rest."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sphinx_framework.errors import InputError
from sphinx_framework.geometry.frusta import focus_behind
from sphinx_framework.protocols import SceneReader
from sphinx_framework.scenes.files import PHOTO_ENDINGS
from sphinx_framework.testing.contracts.base import Contract, NotApplicable
from sphinx_framework.types import Cameras, Scene

LARGEST_SAMPLE, MOST_DAMAGED = 20_000_000, 6
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "replaced by an empty JSON object": lambda data: b"{}",
    "replaced by a JSON list": lambda data: b"[1, null]",
}


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
        with self.leaves_alone():
            scene = reader.read(path)
        self.expect(isinstance(scene, Scene), "a Scene", type(scene).__name__)
        scene.validate()
        self.expect(scene.images.dtype == torch.float32, "float32 images", scene.images.dtype)
        poses = torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera])
        lens = torch.cat([scene.inputs.intrinsics, scene.targets.intrinsics])
        cameras = Cameras(
            world_from_camera=poses, intrinsics=lens, image_size=scene.inputs.image_size
        )
        apart = float((cameras.centres - cameras.centres.mean(0)).norm(dim=1).max())
        self.expect(
            len(cameras) < 2 or apart > 1e-6,
            "cameras at different places (an orbit read with inverse poses has one)",
            f"{len(cameras)} cameras within {apart:.2g}",
        )
        self.expect(
            not focus_behind(cameras),
            "cameras that look at something in front of them (camera-to-world, OpenCV axes; give a "
            "sample whose cameras do)",
            "optical axes that all meet behind the cameras",
        )

    def test_an_option_is_used_or_refused(self) -> None:
        path = self._sample()
        reader: SceneReader = self.make()
        for options in ({"size": (48, 64)}, {"split": "2"}, {"convention": "opencv_c2w"}):
            try:
                scene: object = reader.read(path, **options)
            except InputError:
                continue
            self.expect(isinstance(scene, Scene), f"a Scene or a SceneError for {options}", scene)

    def test_damaged_files_are_refused_with_one_sentence(self) -> None:
        path = self._sample()
        if not path.is_dir():
            raise NotApplicable("the sample is no folder of files")
        reader: SceneReader = self.make()
        # What is no picture first: there a reader trusts more.
        files = sorted(
            (p for p in path.rglob("*") if p.is_file()),
            key=lambda p: (p.suffix.lower() in PHOTO_ENDINGS, str(p)),
        )
        if sum(file.stat().st_size for file in files) > LARGEST_SAMPLE:
            raise NotApplicable("the sample is too large to be copied for this")
        for file in files[:MOST_DAMAGED]:
            for what, damage in DAMAGES.items():
                with tempfile.TemporaryDirectory() as name:
                    copy = Path(name) / path.name
                    shutil.copytree(path, copy)
                    broken = copy / file.relative_to(path)
                    broken.write_bytes(damage(file.read_bytes()))
                    self._scene_or_refusal(reader, copy, f"{file.name} {what}")

    def _scene_or_refusal(self, reader: SceneReader, path: Path, how: str) -> None:
        try:
            scene = reader.read(path)
            scene.validate()
        except InputError:
            return
        except Exception as error:  # any other error is the defect that is looked for
            self.expect(False, f"a SceneError with {how}", repr(error))

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

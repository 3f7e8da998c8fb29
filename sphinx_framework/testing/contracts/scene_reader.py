"""The contract of scene readers: what they claim to read, and what they do with the rest."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.protocols import SceneReader
from sphinx_framework.scenes.capture import Capture
from sphinx_framework.scenes.files import PHOTO_ENDINGS
from sphinx_framework.scenes.poses import CONVENTIONS, opencv_world_from_camera
from sphinx_framework.scenes.view_checks import View, view_doubts
from sphinx_framework.testing.contracts.base import ComplaintError, Contract, NotApplicable
from sphinx_framework.types import Cameras, Scene

ASKED = (48, 64)  # a size; ``load_scene`` fits what a reader leaves at the scene's own
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
                try:
                    came: object = reader.can_read(path)
                except ComplaintError:
                    raise
                except Exception as error:  # it must answer for any path
                    came = repr(error)
                self.expect(came is False, f"can_read to answer False for {path.name!r}", came)

    def test_refuses_with_one_sentence(self) -> None:
        reader: SceneReader = self.make()
        with _junk() as junk:
            for path in junk:
                try:
                    reader.read(path)
                except InputError:
                    continue
                except ComplaintError:
                    raise
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
        self.expect_valid("scene", scene)
        self._plausible(scene)

    def _plausible(self, scene: Scene) -> None:
        """Cameras that can be those of the photos."""
        poses = torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera])
        lens = torch.cat([scene.inputs.intrinsics, scene.targets.intrinsics])
        cameras = Cameras(
            world_from_camera=poses, intrinsics=lens, image_size=scene.inputs.image_size
        )
        height, width = cameras.image_size
        longest = max(height, width)
        for k in lens.cpu():
            focal, centre = (float(k[0, 0]), float(k[1, 1])), (float(k[0, 2]), float(k[1, 2]))
            self.expect(
                all(0.1 * longest < f < 50 * longest for f in focal)
                and -0.5 * width < centre[0] < 1.5 * width
                and -0.5 * height < centre[1] < 1.5 * height,
                f"intrinsics in pixels of {(height, width)}",
                f"focal lengths {focal}, centre {centre}",
            )
        apart = float((cameras.centres - cameras.centres.mean(0)).norm(dim=1).max())
        self.expect(
            len(cameras) < 2 or apart > 1e-6,
            "cameras at different places (an orbit read with inverse poses has one)",
            f"{len(cameras)} cameras within {apart:.2g}",
        )
        doubts = view_doubts(_views(scene.images, scene.inputs), _views_of_targets(scene))
        self.expect(
            not doubts,
            "features of the photos where the cameras put them (camera-to-world, OpenCV axes; "
            "where the photos share too few, give a sample whose cameras look at one place)",
            " ".join(doubts),
        )

    def test_where_a_scene_lies_changes_nothing(self) -> None:
        path = self._sample()
        if not path.is_dir():
            raise NotApplicable("the sample is no folder of files")
        self._small(path)
        reader: SceneReader = self.make()
        usual = reader.read(path)
        with tempfile.TemporaryDirectory() as name:
            copy = Path(name) / "a place, with spaces (2)" / path.name
            shutil.copytree(path, copy)
            for stray in (".DS_Store", "Thumbs.db", "notes.txt"):
                (copy / stray).write_bytes(bytes(range(64)))
            for where in (copy, Path(os.path.relpath(copy))):
                self.expect(
                    reader.can_read(where) is True, f"can_read to answer True for {where}", "False"
                )
                self.expect(
                    _same(self._read(reader, where), usual),
                    "the same scene from a folder with spaces in its name, by a relative path, "
                    "beside files that are no part of it",
                    "another scene",
                )

    def test_a_capture_has_the_cameras_of_its_scene(self) -> None:
        path = self._sample()
        reader: SceneReader = self.make()
        capture = getattr(reader, "capture", None)
        if capture is None:
            raise NotApplicable("has no method capture(path)")
        found, scene = capture(path), reader.read(path)
        self.expect(isinstance(found, Capture), "a Capture", type(found).__name__)
        for chosen, cameras in ((found.inputs, scene.inputs), (found.targets, scene.targets)):
            self.expect(len(chosen) == len(cameras), f"{len(cameras)} shots of a role", len(chosen))
            for index, pose in zip(chosen, cameras.world_from_camera, strict=True):
                off = found.shots[index].world_from_camera.double()[:3, :3] - pose[:3, :3].cpu()
                self.expect(
                    float(off.abs().max()) < 1e-3,
                    f"shot {index} turned as the camera of the scene",
                    f"off by {float(off.abs().max()):.3g}",
                )

    def test_an_option_is_used_or_refused(self) -> None:
        path = self._sample()
        reader: SceneReader = self.make()
        usual = reader.read(path)
        for options in ({"size": ASKED}, {"split": "2"}, {"convention": "opencv_c2w"}):
            try:
                scene: object = reader.read(path, **options)
            except InputError:
                continue
            except ComplaintError:
                raise
            except Exception as error:  # whatever else it raises is the defect
                scene = repr(error)
            self.expect(isinstance(scene, Scene), f"a Scene or a SceneError for {options}", scene)
            assert isinstance(scene, Scene)
            self.expect_valid(f"scene with {options}", scene)
            if "size" in options:
                self._fitted(usual.inputs, scene.inputs)

    def _fitted(self, usual: Cameras, cameras: Cameras) -> None:
        """Of its own size, which the core then fits, or of the asked one with a lens that fits."""
        own, size = usual.image_size, cameras.image_size
        self.expect(size in (own, ASKED), f"images of {own} or, as asked, of {ASKED}", size)
        # To crop or to pad keeps the angle of view along one axis, to stretch along both.
        angles = torch.stack(
            (usual.intrinsics[0, 0, 0] / own[1], usual.intrinsics[0, 1, 1] / own[0])
        )
        lens = cameras.intrinsics
        came = torch.stack((lens[0, 0, 0] / size[1], lens[0, 1, 1] / size[0]))
        off = float((came / angles - 1).abs().min())
        self.expect(
            off < 0.03,
            f"intrinsics in pixels of the size that was asked for, {size}",
            f"focal lengths {float(lens[0, 0, 0]):.4g} and {float(lens[0, 1, 1]):.4g}, where the "
            f"photos' own are {float(usual.intrinsics[0, 0, 0]):.4g} and "
            f"{float(usual.intrinsics[0, 1, 1]):.4g} of {own}",
        )

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
        self._small(path)
        for file in files[:MOST_DAMAGED]:
            for what, damage in DAMAGES.items():
                with tempfile.TemporaryDirectory() as name:
                    copy = Path(name) / path.name
                    shutil.copytree(path, copy)
                    broken = copy / file.relative_to(path)
                    broken.write_bytes(damage(file.read_bytes()))
                    self._scene_or_refusal(reader, copy, f"{file.name} {what}")

    def _read(self, reader: SceneReader, where: Path) -> Scene:
        try:
            return reader.read(where)
        except ComplaintError:
            raise
        except Exception as error:  # whatever it raises, the same scene was read elsewhere
            self.expect(False, f"the same scene from {where}", repr(error))
            raise

    def _small(self, path: Path) -> None:
        files = (file for file in path.rglob("*") if file.is_file())
        if sum(file.stat().st_size for file in files) > LARGEST_SAMPLE:
            raise NotApplicable("the sample is too large to be copied for this")

    def _scene_or_refusal(self, reader: SceneReader, path: Path, how: str) -> None:
        try:
            scene = reader.read(path)
            scene.validate()
        except InputError:
            return
        except ComplaintError:
            raise
        except Exception as error:  # any other error is the defect that is looked for
            self.expect(False, f"a SceneError with {how}", repr(error))

    def test_reads_the_same_twice_and_writes_nothing(self) -> None:
        path = self._sample()
        reader: SceneReader = self.make()
        before = _listing(path)
        first, second = reader.read(path), reader.read(path)
        self.expect(_listing(path) == before, "the scene's files as they were", "changed files")
        self.expect(_same(first, second), "the same scene twice", "another scene")


def _same(first: Scene, second: Scene) -> bool:
    """Whether two scenes have the same photos and targets."""
    pairs = (
        (first.images, second.images),
        (first.inputs.world_from_camera, second.inputs.world_from_camera),
        (first.targets.world_from_camera, second.targets.world_from_camera),
    )
    return all(torch.equal(a, b) for a, b in pairs)


def _views(images: Tensor, cameras: Cameras) -> list[View]:
    """Photos and their cameras, with what the poses would be under other conventions."""
    views = []
    for image, pose, lens in zip(
        images, cameras.world_from_camera.double().cpu(), cameras.intrinsics, strict=True
    ):
        # A reading under another convention, of the pose as a file in ours would state it.
        others = {name: opencv_world_from_camera(pose, name) for name in CONVENTIONS}
        others.pop("opencv_c2w")
        views.append(
            View(
                image=partial(_itself, image),
                intrinsics=lens.double().cpu(),
                pose=pose,
                readings=others,
            )
        )
    return views


def _itself(image: Tensor) -> Tensor:
    return image


def _views_of_targets(scene: Scene) -> list[View]:
    truth = scene.target_images
    return [] if truth is None else _views(truth, scene.targets)


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

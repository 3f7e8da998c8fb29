"""Scenes of jobs: taken from uploads, checked without any model, kept by their content."""

import hashlib
import os
import re
import shutil
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import SceneError
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.unposed import photo_files
from sphinx_framework.serve.archive_members import Limits
from sphinx_framework.serve.archives import LARGEST_JSON, unpack
from sphinx_framework.serve.body import Part
from sphinx_framework.serve.datadir import DataDirectory, sync_folder
from sphinx_framework.serve.orders import SHA, scene_folder
from sphinx_framework.serve.photo_checks import ENDINGS, check_photos, check_total
from sphinx_framework.serve.problems import Problem, clean
from sphinx_framework.serve.scene_files import open_scene, scene_extent
from sphinx_framework.serve.settings import Settings
from sphinx_framework.serve.unposed import count_targets, estimates, photo_size
from sphinx_framework.types import Scene

_PHOTO_NAME = re.compile(r"[A-Za-z0-9_ -][A-Za-z0-9._ -]{0,99}", re.ASCII)
_REMEMBERED = 1000
_AS_IT_IS = {"split": None, "convention": "auto"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene that a job may get; ``folder`` holds its files until it is kept."""

    identity: str
    name: str
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a scene and its targets are."""

    inputs: int
    targets: int
    height: int
    width: int


class Scenes:
    """Makes candidates of uploads, checks them, keeps those that jobs get."""

    def __init__(
        self,
        settings: Settings,
        data: DataDirectory,
        config: PipelineConfig,
        registry: Registry,
    ) -> None:
        """For one pipeline."""
        self.settings, self.data = settings, data
        self.config, self.registry = config, registry
        self.pinned: Counter[str] = Counter()
        self._facts: OrderedDict[str, Facts] = OrderedDict()

    def from_archive(self, part: Part, workplace: Path) -> Candidate:
        """Unpack an archive below ``workplace``."""
        folder = workplace / "scene"
        limits = Limits(self.settings.max_entries, self.settings.max_unpacked_bytes)
        top = unpack(part.path, folder, limits)
        return Candidate(_content_id(folder), clean(top, 100) or "scene", folder)

    def from_photos(
        self, photos: Sequence[Part], cameras: Part | None, workplace: Path
    ) -> Candidate:
        """A folder of photos with their cameras, or alone where poses can be estimated."""
        if cameras is None and not estimates(self.config):
            raise Problem(
                "scene-invalid",
                "The photos have no cameras, and this pipeline estimates none.",
                hint="Send a cameras.json as the part 'cameras'; a server that is started with "
                "--set poses.use=colmap estimates them.",
            )
        folder = workplace / "scene"
        folder.mkdir()
        for part in photos:
            name = re.split(r"[/\\]", part.filename or "")[-1]
            if not _PHOTO_NAME.fullmatch(name) or not name.lower().endswith(ENDINGS):
                raise Problem(
                    "scene-invalid", f"The photo's name {clean(name, 100)!r} is not taken."
                )
            if any(name.casefold() == path.name.casefold() for path in folder.iterdir()):
                raise Problem("scene-invalid", f"Two photos are named {name!r}.")
            part.path.rename(folder / name)
        if cameras is not None:
            (folder / "cameras.json").write_bytes(cameras.read(LARGEST_JSON))
        return Candidate(_content_id(folder), "scene", folder)

    def facts(
        self,
        candidate: Candidate,
        *,
        targets: str | None,
        cameras: Path | None,
        split: str | None,
        convention: str,
    ) -> Facts:
        """Check a scene and its targets completely; raises :class:`Problem` 422."""
        content = "" if cameras is None else cameras.read_text()
        key = repr((candidate.identity, targets, content, split, convention))
        found = self._facts.get(key)
        if found is None:
            path = candidate.identity
            if candidate.folder is not None:
                path = str(candidate.folder)
                self._check_files(candidate.folder)
            elif path.startswith(SHA):
                path = str(scene_folder(path, self.data))
            options: dict[str, Any] = {"split": split, "convention": convention}
            options["targets"] = targets if cameras is None else str(cameras)
            found = self._facts[key] = self._opened(path, options)
            while len(self._facts) > _REMEMBERED:
                self._facts.popitem(last=False)
        return found

    @contextmanager
    def pin(self, identity: str) -> Iterator[None]:
        """Keep a scene from being removed while a request may get it."""
        self.pinned[identity] += 1
        try:
            yield
        finally:
            self.pinned[identity] -= 1
            if not self.pinned[identity]:
                del self.pinned[identity]

    def _check_files(self, folder: Path) -> None:
        check_photos(folder, self.settings.max_pixels, self._most_pixels)

    @property
    def _most_pixels(self) -> int:
        return self.settings.max_pixels * self.settings.max_photos

    def _opened(self, path: str, options: dict[str, Any]) -> Facts:
        photos = photo_files(Path(path)) if estimates(self.config) else []
        if photos:
            size = photo_size(photos)
            facts = Facts(len(photos), count_targets(options), *(self.config.size or size))
        else:
            scene = self.load(path, options)
            facts = Facts(len(scene.inputs), len(scene.targets), *scene.targets.image_size)
        self._check_counts(facts.inputs, facts.targets)
        return facts

    def load(self, path: str, options: dict[str, Any]) -> Scene:
        """Open a kept or generated scene; raises :class:`Problem` 422, too large ones unopened."""
        try:
            extent = scene_extent(path, self.registry, **{**_AS_IT_IS, **options})
            self._check_counts(extent.inputs, extent.targets)
            check_total(extent.pixels, self._most_pixels)
            return open_scene(path, self.registry, self.config, **options)
        except Problem:
            raise
        except SceneError as error:
            raise Problem("scene-invalid", error.message, hint=error.hint) from None
        except Exception as error:
            # What no check foresaw is still the scene's fault, and never a 500.
            raise Problem(
                "scene-invalid", f"The scene cannot be read ({type(error).__name__})."
            ) from error

    def _check_counts(self, inputs: int, targets: int) -> None:
        most = min(self.settings.max_targets, self.config.max_targets)
        if targets > most:
            raise Problem(
                "request-invalid",
                f"{targets} targets are more than the {most} that one job may have.",
                hint="Ask for fewer, in several jobs.",
                errors=[{"pointer": "/targets", "detail": f"at most {most}"}],
            )
        if inputs > self.settings.max_photos:
            raise Problem(
                "scene-invalid",
                f"{inputs} input views are more than {self.settings.max_photos}.",
            )

    def keep(self, candidate: Candidate) -> None:
        """Move a checked candidate to where jobs find it, durably. Equal content is kept once."""
        if candidate.folder is None:
            return
        place = scene_folder(candidate.identity, self.data)
        for path in [*candidate.folder.rglob("*"), candidate.folder]:
            if path.is_dir():
                sync_folder(path)
            else:
                handle = os.open(path, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)
        if not place.exists():
            try:
                candidate.folder.rename(place)
            except OSError:
                if not place.exists():  # else the same content came at the same time
                    raise
            sync_folder(self.data.scenes)
        shutil.rmtree(candidate.folder, ignore_errors=True)


def _content_id(folder: Path) -> str:
    """``sha256:`` over the sorted names and contents."""
    total = hashlib.sha256()
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    for name in names:
        with open(folder / name, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name}\0{content}\n".encode())
    return SHA + total.hexdigest()

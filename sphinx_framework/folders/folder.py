"""The folder a command writes to: only our own files change, and results appear whole.

What is new is written under ``.sphinx-partial`` first, then announced in the manifest, then
renamed file by file, the report last. A run that is killed before the announcement leaves what was
there; one that is killed after it is completed by the next run: everything new is on disk by then.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sphinx_framework.errors import ConfigError, shown
from sphinx_framework.folders.guard import refuse_overlap, user_path, writing
from sphinx_framework.folders.locks import lock_folder
from sphinx_framework.folders.manifest import (
    MANIFEST,
    Entry,
    Manifest,
    entry_of,
    is_inner_name,
    is_plain_file,
    read_manifest,
)

PARTIAL = ".sphinx-partial"
# Files that desktops leave in every folder; they stand in nobody's way and are never touched.
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})


class OutputFolder:
    """An output folder that this process has checked and holds until it is closed.

    found: what an earlier, killed run left behind and what became of it, one sentence each.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        option: str = "--out",
        holds: str = "",
        scenes: Iterable[str | Path] = (),
        files: Iterable[str | Path] = (),
    ) -> None:
        """Check and lock the folder; make it where it does not exist.

        option: how the user named it, for messages. holds: what will be written, in words; results
        of another kind are not replaced by it. scenes, files: what the command reads, and the
        folder therefore must not be, contain or (scenes) lie in.

        Raises:
            ConfigError: it overlaps what is read, cannot be written, is in use by another run,
                holds a file that no run of ours wrote or that changed since, or another kind of
                results.
        """
        self.option = option
        self.path = user_path(path, option)
        self.found: tuple[str, ...] = ()
        refuse_overlap(self.path, option, scenes=scenes, files=files)
        self._made = _missing_parents(self.path)
        with writing(f"{option} {shown(self.path)}"):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(self.path, self.path / PARTIAL)
        try:
            with writing(self.path):
                self._manifest = read_manifest(self.path) or Manifest()
                self._refuse_foreign_files()
                self._refuse_another_kind(holds)
                self._recover()
                self._manifest.holds = holds or self._manifest.holds
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "OutputFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder; what was not published is removed, an empty new folder too."""
        manifest = getattr(self, "_manifest", None)
        if manifest is None or not (manifest.writing or manifest.dropping):
            shutil.rmtree(self.path / PARTIAL, ignore_errors=True)
        self._lock.release()
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                break

    @contextmanager
    def replacing(
        self, *, last: str | None = None, keep: Callable[[str], bool] = lambda name: False
    ) -> Iterator[Path]:
        """A folder to fill; when the block ends well, its files replace ours, all of them at once.

        last: the file whose presence says that a result is whole; it goes first and comes last.
        keep: which of our present files stay although the block does not write them.

        Raises:
            ConfigError: a file that is not ours has come into the way meanwhile.
            JobError: the disk is full.
        """
        new = self.path / PARTIAL / "new"
        with writing(self.path):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
        with writing(self.path):
            yield new
            names = sorted(_files(new), key=lambda name: (name == last, name))
            for name in names:
                _sync(new / name)
                self._refuse_in_the_way(name)
            self._manifest.writing = {name: entry_of(new / name) for name in names}
            self._manifest.dropping = tuple(
                name for name in self._manifest.files if name not in names and not keep(name)
            )
            self._announce()
            try:
                self._complete(last)
            except BaseException:
                self._complete(last)  # Ctrl-C between two renames: finish, then stop.
                raise

    def write(self, name: str, content: str | bytes) -> Path:
        """Write or replace one file of ours at once, durably; for results that come one by one."""
        if not is_inner_name(name) or name == MANIFEST:
            raise ConfigError(f"{shown(name)}: is no name of a file inside {shown(self.path)}.")
        target, part = self.path / name, self.path / PARTIAL / "one"
        with writing(target):
            self._refuse_in_the_way(name)
            part.write_bytes(content.encode() if isinstance(content, str) else content)
            _sync(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._manifest.writing = {name: entry_of(part)}
            try:
                self._announce()
                os.replace(part, target)
                self._manifest.files |= self._manifest.writing
            finally:
                self._manifest.writing = {}
        return target

    def write_path(self, path: Path, content: str | bytes) -> None:
        """:meth:`write` for a path inside the folder."""
        self.write(path.relative_to(self.path).as_posix(), content)

    def __contains__(self, name: str) -> bool:
        """Whether the manifest lists a file."""
        return name in self._manifest.files

    def whole(self) -> bool:
        """Whether every file that the manifest lists is there, unchanged."""
        return all(self._manifest.claims(self.path, name) for name in self._manifest.files)

    def _announce(self) -> None:
        self._manifest.write(self.path, self.path / PARTIAL / MANIFEST)

    def _refuse_foreign_files(self) -> None:
        known = {*self._manifest.files, *self._manifest.writing}
        for name in _files(self.path, skip=PARTIAL):
            if Path(name).name in LITTER or self._manifest.claims(self.path, name):
                continue
            if name == MANIFEST and read_manifest(self.path) is not None:
                continue
            why = "was changed since it was written" if name in known else "is not ours"
            raise ConfigError(
                f"{self.option} {shown(self.path)}: holds {shown(name)}, which {why}.",
                hint="Only files that an earlier run wrote are replaced. Choose a new or empty "
                "folder, or move that file away.",
            )

    def _refuse_another_kind(self, holds: str) -> None:
        there = self._manifest.holds
        if holds and there and there != holds and self._manifest.files:
            raise ConfigError(
                f"{self.option} {shown(self.path)}: holds {there}, which {holds} would replace.",
                hint="Choose another folder, or delete this one if nobody needs it.",
            )

    def _refuse_in_the_way(self, name: str) -> None:
        target = self.path / name
        if os.path.lexists(target) and not self._manifest.claims(self.path, name):
            raise ConfigError(
                f"{shown(target)}: is in the way and is not ours.", hint="Move it away."
            )

    def _recover(self) -> None:
        """Complete or clear away what a killed run left."""
        left = self.path / PARTIAL
        if self._manifest.writing or self._manifest.dropping:
            if _files(left) or self._manifest.dropping:
                self.found = ("a run that was stopped while it published has been completed",)
            self._complete(None)
        elif _files(left):
            self.found = (
                "a run that was stopped left unfinished files, which were removed; the results of "
                "the run before it are as they were",
            )
        for name in _files(left):
            (left / name).unlink()

    def _complete(self, last: str | None) -> None:
        """Bring the folder to the announced state; safe to repeat."""
        new, manifest = self.path / PARTIAL / "new", self._manifest
        pending = [name for name in manifest.writing if (new / name).is_file()]
        if last in pending and len(pending) > 1 and manifest.claims(self.path, str(last)):
            (self.path / str(last)).unlink()
        for name in pending:
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_in_the_way(name)
            os.replace(new / name, target)
        for name in manifest.dropping:
            if manifest.claims(self.path, name):
                (self.path / name).unlink()
                _remove_empty(self.path / name, self.path)
        kept = {n: e for n, e in manifest.files.items() if n not in manifest.dropping}
        # A file may still be the one before: a run was stopped between announcing it and renaming.
        there = {n: e for n, e in manifest.writing.items() if _is(self.path / n, e)}
        self._manifest = Manifest(holds=manifest.holds, files={**kept, **there})
        self._announce()
        _sync(self.path)


def _is(path: Path, entry: Entry) -> bool:
    return is_plain_file(path) and entry_of(path) == entry


def _files(folder: Path, skip: str = "") -> list[str]:
    """Names of everything in a folder that is no folder, links included, relative and sorted."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_raise):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        folders[:] = sorted(name for name in folders if name not in links and name != skip)
        found += [Path(place, name).relative_to(folder).as_posix() for name in (*files, *links)]
    return sorted(found)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _missing_parents(path: Path) -> list[Path]:
    """The folders that making ``path`` makes, innermost first."""
    return [place for place in (path, *path.parents) if not os.path.lexists(place)]


def _remove_empty(path: Path, root: Path) -> None:
    for folder in path.parents:
        if folder == root:
            return
        try:
            folder.rmdir()
        except OSError:
            return


def _sync(path: Path) -> None:
    """Wait until a file or folder is on disk; systems that cannot open folders skip those."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

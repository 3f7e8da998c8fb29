"""The data directory: everything durable, mode 0700, one server at a time."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

from sphinx_framework.errors import ConfigError

VERSION = "sphinx-nvs-data 1"
_DELETED = "deleted"


class DataDirectory:
    """An opened and locked directory with ``scenes``, ``jobs`` and ``tmp``; ``lost`` if need be."""

    def __init__(self, root: Path) -> None:
        """Create or open; raises :class:`ConfigError` when it is not ours, or in use."""
        self.root = root.absolute()
        try:
            self._open()
        except OSError as error:
            raise ConfigError(
                f"--data {root}: cannot be used: {error.strerror}.", hint="Choose another folder."
            ) from None
        self.scenes, self.jobs, self.tmp = (self.root / n for n in ("scenes", "jobs", "tmp"))
        self.lost = self.root / "lost"
        shutil.rmtree(self.tmp, ignore_errors=True)
        for folder in (self.scenes, self.jobs, self.tmp):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _open(self) -> None:
        version = self.root / "VERSION"
        if self.root.exists():
            # Of a first start that was killed there may be a version that was being written.
            own = ("lock", f".{version.name}.")
            held = [path for path in self.root.iterdir() if not path.name.startswith(own)]
            if held and not version.is_file():
                raise ConfigError(
                    f"--data {self.root}: holds files that are not a server's.",
                    hint="Choose a new or empty folder.",
                )
            found = version.read_text(errors="replace").strip() if held else VERSION
            if found != VERSION:
                raise ConfigError(
                    f"--data {self.root}: is of another version ({found[:40]!r}).",
                    hint=f"This server knows {VERSION!r}; choose another folder.",
                )
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = open(self.root / "lock", "a")  # noqa: SIM115 - held while the server lives
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigError(
                f"--data {self.root}: another server uses it.",
                hint="Stop that one, or choose another folder.",
            ) from None
        self.root.chmod(0o700)
        if not version.exists():
            durable_write(version, (VERSION + "\n").encode())

    def job(self, identity: str) -> Path:
        """A job's folder: ``request`` for what it was given, ``files`` for what it made."""
        return self.jobs / identity

    def remove(self, folder: Path) -> None:
        """Make a folder disappear at once, then delete what it held."""
        grave = self.tmp / f"removed-{os.urandom(8).hex()}"
        try:
            folder.rename(grave)
        except OSError:
            return
        shutil.rmtree(grave, ignore_errors=True)

    def holds_results(self, identity: str) -> bool:
        """Whether a job's folder has files that a worker made, and was not about to be deleted."""
        folder = self.job(identity)
        made = any(path.is_file() for path in (folder / "files").rglob("*"))
        return made and not (folder / _DELETED).exists()

    def mark_deleted(self, identity: str, *, deleted: bool = True) -> None:
        """Note in a job's folder that it may go as soon as the database forgot the job.

        A folder that the database does not know and that has no such note was not deleted: the
        database is another one. On a full disk there may be no note, and the folder is kept.
        """
        note = self.job(identity) / _DELETED
        with suppress(OSError):
            note.touch() if deleted else note.unlink(missing_ok=True)

    def set_aside(self, folder: Path) -> None:
        """Move a folder below ``lost``, where nothing is ever deleted."""
        place = self.lost / folder.parent.name / folder.name
        while place.exists():
            place = place.with_name(f"{folder.name}.{os.urandom(4).hex()}")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.rename(place)

    def size(self) -> int:
        """Bytes of all files but those for which no job may have to go.

        These are ``lost``, and ``tmp``: what is being uploaded is no job yet.
        """
        total = 0
        for folder, below, names in os.walk(self.root):
            if folder == str(self.root):
                below[:] = [n for n in below if n not in (self.lost.name, self.tmp.name)]
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_size
                except OSError:
                    continue  # removed meanwhile
        return total

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()


def durable_write(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there, whatever happens to the machine."""
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    with open(part, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

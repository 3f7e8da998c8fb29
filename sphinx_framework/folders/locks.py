"""One run at a time in an output folder; the lock goes with the process that holds it."""

import os
from dataclasses import dataclass
from pathlib import Path

from sphinx_framework.errors import ConfigError, shown

_ATTEMPTS = 20


@dataclass(slots=True)
class Lock:
    """An open handle whose closing frees the folder."""

    handle: int | None

    def release(self) -> None:
        """Free the folder; once is enough."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


def lock_folder(shared: Path, partial: Path) -> Lock:
    """Make the folder ``partial`` and lock it, so that no other run publishes into ``shared``.

    Where the system knows no such locks, nothing is locked.

    Raises:
        ConfigError: another run holds it.
    """
    try:
        import fcntl
    except ImportError:
        partial.mkdir(exist_ok=True)
        return Lock(None)
    for _ in range(_ATTEMPTS):
        partial.mkdir(exist_ok=True)
        try:
            handle = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # The run before us has just cleared it away.
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise ConfigError(
                f"{shown(shared)}: another run is writing there.",
                hint="Wait for it, or choose another folder.",
            ) from None
        try:
            if os.path.samestat(os.fstat(handle), partial.stat()):
                return Lock(handle)
        except FileNotFoundError:
            pass
        os.close(handle)
    raise ConfigError(f"{shown(shared)}: another run is writing there.")

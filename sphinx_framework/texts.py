"""Text files of the user's, read unless that could wait forever or never end; counts in words."""

import errno
import stat
from pathlib import Path


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of an ordinary file.

    Raises:
        OSError: it cannot be read, or is a pipe or a device.
        UnicodeDecodeError: it is no text.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, no file", str(path))
    return path.read_text(encoding=encoding)


def counted(number: int, noun: str) -> str:
    """``1 photo``, ``2 photos``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

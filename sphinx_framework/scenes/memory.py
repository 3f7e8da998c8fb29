"""Whether the pictures of a request fit into this machine's memory, before they are made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sphinx_framework.errors import JobError, SceneError
from sphinx_framework.texts import counted
from sphinx_framework.witness import out_of_memory

_PIXEL = 3 * 4  # bytes: float32 RGB
# What containers may use and do use, by the two generations of the kernel's groups.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)
# Files that the kernel keeps in memory count as used, and make room when asked.
_RECLAIMED = "inactive_file"
_HINT = "Choose a smaller size or fewer targets."


def check_memory(views: int, size: tuple[int, int]) -> None:
    """Refuse pictures that alone are larger than the free memory.

    views: photos, ground truth and renders that are certainly held at once; a system that hands out
        memory which it does not have kills the process instead of failing.

    Raises:
        SceneError: with the numbers.
    """
    needed, free = views * size[0] * size[1] * _PIXEL, free_memory()
    if free is not None and needed > free:
        raise SceneError(
            f"size {size[0]}x{size[1]} (height x width): {counted(views, 'picture')} of it take "
            f"{needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free.",
            hint=_HINT,
        )


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn a failed allocation within into a :class:`JobError` about ``what``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise JobError(
            f"{what}: there is not enough memory.", hint=_HINT, kind="out-of-memory", stage="scene"
        ) from None


def free_memory() -> int | None:
    """Bytes that this process could still get; ``None`` where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = {name: amount for name, _, amount in (line.partition(":") for line in lines)}
        bytes_free = int(free["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in names:
            return None
        bytes_free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([bytes_free, *_left_in_groups()])


def _left_in_groups() -> Iterator[int]:
    for limit, used in _GROUPS:
        try:
            most, now = int(Path(limit).read_text()), int(Path(used).read_text())
        except (OSError, ValueError):  # there is none, or it is "max"
            continue
        yield max(0, most - now + _reclaimable(Path(used).parent))


def _reclaimable(group: Path) -> int:
    try:
        lines = (group / "memory.stat").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.split()[0] == _RECLAIMED)
    except (OSError, ValueError, IndexError):
        return 0

"""Entry points of what is installed, each distribution asked for itself.

``importlib.metadata.entry_points`` reads those of all distributions in one go: one that is damaged
takes every other's with it, and the error names none. Read one by one, it is named and left out.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, EntryPoints, distributions
from typing import Any

FILE = "entry_points.txt"
MEND = "Install that distribution again, or remove its folder."
_PROPERTY: Any = Distribution.__dict__["entry_points"]  # as Python has it
_read = _PROPERTY.fget


@dataclass(frozen=True, slots=True)
class Damaged:
    """A distribution whose entry points cannot be read: where it lies, and why."""

    distribution: str
    version: str
    reason: str


def installed_points(group: str) -> tuple[list[EntryPoint], list[Damaged]]:
    """The entry points of a group, of the first distribution of each name; and what is damaged."""
    points: list[EntryPoint] = []
    damaged: list[Damaged] = []
    for distribution in _first_of_each_name():
        try:
            found = list(_read(distribution))
            problem = "" if found else _hidden_damage(distribution)
        except Exception as error:
            found, problem = [], _told(error)
        points += [point for point in found if point.group == group]
        if problem:
            name, version = named(distribution)
            where = _place(distribution)
            reason = f"{where and os.path.join(where, '')}{FILE} cannot be read: {problem}"
            damaged.append(Damaged(name, version, reason))
    return points, damaged


def named(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version by its metadata, or by its folder where that cannot be read."""
    if distribution is None:
        return "unknown", ""
    try:
        name, version = distribution.name, distribution.version
    except Exception:
        name = version = ""
    stem, _, rest = _stem(distribution).partition("-")
    return name or stem or "unknown", version or rest.partition("-")[0]


def _first_of_each_name() -> Iterator[Distribution]:
    """Of two with one name, the first on the path is what Python imports."""
    seen: set[str] = set()
    for distribution in distributions():
        # By the folder, which needs no file: as importlib does it.
        name = _stem(distribution).partition("-")[0] or named(distribution)[0]
        name = name.lower().replace("-", "_").replace(".", "_")
        if name not in seen:
            seen.add(name)
            yield distribution


def _place(distribution: Distribution) -> str:
    """The folder of its metadata; empty where it has none on a disk."""
    path: Any = getattr(distribution, "_path", None)
    return "" if path is None else str(path)


def _stem(distribution: Distribution) -> str:
    name, ending = os.path.splitext(os.path.basename(_place(distribution).rstrip("/")))
    return name if ending in (".dist-info", ".egg-info") else ""


def _hidden_damage(distribution: Distribution) -> str:
    """Why a distribution seems to have no entry points although it has a file of them."""
    place = _place(distribution)
    text = distribution.read_text(FILE)
    if text is None:
        there = place and os.path.lexists(os.path.join(place, FILE))
        return "it is there, and no file that may be read" if there else ""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "[")
    return "" if first.startswith("[") else f"it begins with {first[:40]!r}, which is no [group]"


def _told(error: Exception) -> str:
    said = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {said}".rstrip(": ")


@contextmanager
def forgiving_searches() -> Iterator[None]:
    """In this block every library's search of entry points passes over damaged distributions.

    pydantic, torch and numba look for plugins of their own as soon as they are imported, and one
    damaged distribution ends them all. For processes of our own: a host's are the host's.
    """

    def forgiving(distribution: Distribution) -> Any:
        try:
            return _read(distribution)
        except Exception:  # the registry names it
            return EntryPoints()

    Distribution.entry_points = property(forgiving)  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        Distribution.entry_points = _PROPERTY  # type: ignore[method-assign]

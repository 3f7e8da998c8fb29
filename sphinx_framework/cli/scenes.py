"""Naming many scenes on the command line."""

import re
from collections.abc import Sequence
from pathlib import Path

from sphinx_framework.errors import ConfigError

RANGE = re.compile(r"^(procedural:.*/)(\d+)-(\d+)$")


def scene_names(given: Sequence[str]) -> list[str]:
    """Expand ``procedural:report/0-39`` and folders of scene folders; keep everything else.

    Raises :class:`ConfigError` when nothing is left.
    """
    names: list[str] = []
    for name in given:
        counted = RANGE.match(name)
        if counted:
            first, last = int(counted[2]), int(counted[3])
            names += [f"{counted[1]}{i}" for i in range(first, last + 1)]
            continue
        folder = Path(name)
        inner = (
            sorted(p.parent for p in folder.glob("*/transforms.json")) if folder.is_dir() else []
        )
        inner += sorted(p.parent for p in folder.glob("*/cameras.json")) if folder.is_dir() else []
        names += [str(p) for p in inner] or [name]
    if not names:
        raise ConfigError(
            "no scenes were given.", hint="Name scene folders, or procedural:report/0-9."
        )
    return names

"""The source code of components, as a digest: edits without a new version are noticed."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_OWN = "sphinx_framework"  # its version is that of the study


def code_digest(components: Iterable[Any]) -> str:
    """Of every Python file of the packages that the components' classes come from."""
    packages = {type(component).__module__.partition(".")[0] for component in components}
    digest = hashlib.sha256()
    for name in sorted(packages - {_OWN, "builtins", "__main__"}):
        for place in _places(name):
            for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
                digest.update(f"{name}/{file.name}".encode(errors="surrogateescape"))
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _places(name: str) -> list[Path]:
    module = sys.modules.get(name)
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    file = getattr(module, "__file__", None)
    return folders or ([Path(file)] if file and file.endswith(".py") else [])

"""Arrays on disk that the trainers fill scene by scene, and go on filling after an interruption."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Shapes = Mapping[str, tuple[tuple[int, ...], Any]]


def memory_maps(folder: Path, shapes: Shapes) -> dict[str, np.memmap]:
    """Open (or create) one memory map a name; ``shapes``: whole shape and element type."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = {}
    for name, (shape, kind) in shapes.items():
        path = folder / f"{name}.npy"
        if path.exists():
            opened[name] = np.lib.format.open_memmap(path, mode="r+")
        else:
            opened[name] = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    return opened

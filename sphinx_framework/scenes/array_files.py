"""Arrays in ``.npy`` files, which may be damaged in any way."""

import tokenize
from pathlib import Path

import numpy as np

from sphinx_framework.errors import SceneError, shown

# What NumPy raises of a file depends on which byte of its header is wrong.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    SyntaxError,
    ArithmeticError,
    MemoryError,
    tokenize.TokenError,
)


def load_array(path: Path, where: str) -> np.ndarray:
    """The array of a file; what of it is read comes from the disk when it is used.

    where: what the message begins with.

    Raises:
        SceneError: no such file, none of one array, or damaged.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGED as error:
        raise SceneError(f"{where} cannot be read as an array ({shown(error)}).") from error
    if not isinstance(found, np.ndarray):
        raise SceneError(f"{where} is an archive of arrays, not one array.")
    return found

"""Import model libraries, and the ``torchvision`` that they import, or say what to install.

Registries carry torchvision built for CUDA. Beside a CPU-only torch its library cannot be loaded,
and the import then fails while it describes two of the operators to torch. Neither diffusers nor
open_clip calls them for what our plugins use, but both import torchvision.
"""

import functools
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from sphinx_framework.errors import BrokenPluginError

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@functools.cache
def ensure_torchvision_imports() -> tuple[torch.library.Library, ...]:
    """Declare the missing operators if, and only if, torchvision does not import without them.

    Returns:
        The declarations, which live as long as this result is cached; usually empty.
    """
    if "torchvision" in sys.modules or find_spec("torchvision") is None:
        return ()
    try:
        import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(operator + BOXES)
        return (library,)
    return ()


def library(module: str, *, what: str, install: str) -> Any:
    """Import a library that a component needs.

    install: what ``pip install`` takes, with a remark if need be.

    Raises:
        BrokenPluginError: it cannot be imported; the hint says what to install.
    """
    try:
        ensure_torchvision_imports()
        return import_module(module)
    except (ImportError, RuntimeError) as error:
        raise BrokenPluginError(
            f"{what} needs {module.partition('.')[0]}, which cannot be imported: {error}.",
            hint=f"pip install {install}, with a torchvision that was built for the installed "
            "torch.",
        ) from None

"""Import ``torchvision`` where its compiled operators do not fit the installed torch.

Registries carry torchvision built for CUDA. Beside a CPU-only torch its library cannot be loaded,
and the import then fails while it describes two of the operators to torch. Neither diffusers nor
open_clip calls them for what this plugin uses, but both import torchvision.
"""

import functools
import sys
from importlib import import_module
from importlib.util import find_spec

import torch

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

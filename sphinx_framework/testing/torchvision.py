"""A pytest fixture that lets torchvision load beside a torch that its wheel was not built for.

There is no CPU build of torchvision on the package index: the extension of the stock wheel cannot
load, and its import stops at operators that nobody declared. Declaring them is enough for models
that never call them. Tests only: a user installs a torchvision that fits.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def torchvision_operators() -> Iterator[None]:
    """Declare the operators for the session, or skip without torchvision."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        pytest.skip("torchvision is not installed")
    if _extension_loads(Path(found.origin).parent) or _declared():
        yield
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield
    del library


def _declared() -> bool:
    return hasattr(torch.ops.torchvision, "nms")


def _extension_loads(folder: Path) -> bool:
    try:
        for extension in folder.glob("_C*.so"):
            torch.ops.load_library(str(extension))
    except OSError:
        return False
    return _declared()

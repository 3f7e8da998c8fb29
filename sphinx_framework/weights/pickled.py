"""A pickle reader that builds tensors and plain containers, and calls nothing else.

The optimiser and callback state of a training checkpoint may hold any Python object: each becomes
a harmless stand-in.
"""

import pickle
from collections import OrderedDict
from types import SimpleNamespace
from typing import IO, Any

import torch


class _Ignored:
    """Stands for any object of a training checkpoint that is not a tensor."""

    def __new__(cls, *args: Any, **options: Any) -> "_Ignored":
        return super().__new__(cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def __call__(self, *args: Any, **options: Any) -> "_Ignored":
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass


class _TensorsOnlyUnpickler(pickle.Unpickler):
    """Builds tensors and plain containers; every other class becomes a harmless stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in {
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
        }:
            return getattr(torch._utils, name)
        return _Ignored


def _load_tensors_only(file: IO[bytes], **options: Any) -> Any:
    return _TensorsOnlyUnpickler(file, **options).load()


TENSORS_ONLY = SimpleNamespace(
    __name__="tensors_only", Unpickler=_TensorsOnlyUnpickler, load=_load_tensors_only
)

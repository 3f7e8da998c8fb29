"""How torch computes float32 products and convolutions: two interfaces to one setting.

The older one (``set_float32_matmul_precision``, ``allow_tf32``) refuses to answer once somebody in
the process has used the newer (``fp32_precision``, from torch 2.9 on). Both are read and put back.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch

# From the widest to the narrowest: what a wider one sets, a narrower one may override.
_PLACES = (
    "",
    "cudnn",
    "mkldnn",
    "cuda.matmul",
    "cudnn.conv",
    "cudnn.rnn",
    "mkldnn.matmul",
    "mkldnn.conv",
    "mkldnn.rnn",
)
_NEWER = "fp32_precision"


@dataclass(frozen=True, slots=True)
class Precision:
    """The settings of a moment.

    products, convolutions: as the older interface has them, ``None`` where it does not answer.
    newer: by place, ``cuda.matmul`` and the like; empty before torch 2.9.
    """

    products: str | None
    convolutions: bool | None
    newer: tuple[tuple[str, str], ...]

    @classmethod
    def now(cls) -> Self:
        """As they are."""
        products, convolutions = None, None
        with suppress(RuntimeError):
            products = torch.get_float32_matmul_precision()
        with suppress(RuntimeError):
            convolutions = torch.backends.cudnn.allow_tf32
        newer = tuple((name, str(getattr(place, _NEWER))) for name, place in _places())
        return cls(products, convolutions, newer)

    def put_back(self) -> None:
        """As they were, whichever interface changed them."""
        now = type(self).now()
        if self.products is not None and now.products != self.products:
            torch.set_float32_matmul_precision(self.products)
        if self.convolutions is not None and now.convolutions != self.convolutions:
            torch.backends.cudnn.allow_tf32 = self.convolutions
        for name, value in self.newer:  # last: the older one says "ieee" where nothing was said
            if getattr(_place(name), _NEWER) != value:
                setattr(_place(name), _NEWER, value)

    def __str__(self) -> str:
        if self.products is not None and self.convolutions is not None:
            return f"{self.products}, in cuDNN {'TF32' if self.convolutions else 'float32'}"
        return ", ".join(f"{name or 'all'} {value}" for name, value in self.newer)


def allow_tf32() -> None:
    """TF32 for products and convolutions on CUDA, by the interface that the process uses."""
    now = Precision.now()
    if now.products is not None and now.convolutions is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        return
    for name in ("cuda.matmul", "cudnn.conv"):
        setattr(_place(name), _NEWER, "tf32")


@cache
def _places() -> tuple[tuple[str, Any], ...]:
    """Those that this torch has; looked up once, because every call of a component reads them."""
    named = ((name, _place(name)) for name in _PLACES)
    return tuple((name, place) for name, place in named if hasattr(place, _NEWER))


def _place(name: str) -> Any:
    place: Any = torch.backends
    for part in filter(None, name.split(".")):
        place = getattr(place, part, None)
    return place

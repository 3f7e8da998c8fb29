"""Half precision on a processor that has no arithmetic for it: slower than float32, not faster."""

from collections.abc import Iterator, Mapping

import torch
from pydantic import BaseModel

from sphinx_framework.nn.precision import NATIVE, computes_in

KEYS = ("precision", "dtype")


def slow_precisions(options: Mapping[str, BaseModel], device: torch.device) -> Iterator[str]:
    """One warning per component that is asked to compute in a type the processor lacks."""
    if device.type != "cpu":
        return
    for role, own in options.items():
        for key in KEYS:
            asked = getattr(own, key, None)
            if asked in NATIVE and not computes_in(asked):
                yield (
                    f"{role}.{key} = {asked}: this processor has no arithmetic of that type and "
                    "imitates it, much slower than float32"
                )

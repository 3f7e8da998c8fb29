"""Half precision on a processor that has no arithmetic for it: slower than float32, not faster."""

from collections.abc import Iterator, Mapping

import torch
from pydantic import BaseModel

KEYS = ("precision", "dtype")
# What a processor must have one of, by type; Arm's names as PyTorch gives them.
NATIVE = {
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"),
    "float16": ("avx512_fp16", "amx_fp16", "fp16_arith", "sve2"),
}


def computes_in(name: str) -> bool:
    """Whether this processor has arithmetic of a half-precision type, instead of imitating it."""
    able = torch.cpu.get_capabilities()
    return any(able.get(feature) for feature in NATIVE[name])


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

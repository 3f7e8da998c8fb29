"""In which arithmetic a network runs: what was asked for, on the device that there is."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from sphinx_framework.weights import DTYPES

Precision = Literal["auto", "native", "float32", "bfloat16", "float16"]
# What a processor must have one of, by type; Arm's names as PyTorch gives them.
NATIVE = {
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"),
    "float16": ("avx512_fp16", "amx_fp16", "fp16_arith", "sve2"),
}


def computes_in(name: str) -> bool:
    """Whether this processor has arithmetic of a half-precision type, instead of imitating it."""
    able = torch.cpu.get_capabilities()
    return any(able.get(feature) for feature in NATIVE[name])


def network_dtype(
    asked: Precision, device: torch.device, half: torch.dtype = torch.bfloat16
) -> torch.dtype:
    """The type asked for.

    ``auto`` is ``half`` on CUDA and float32 elsewhere; ``native`` also takes bfloat16 on a
    processor that has arithmetic for it.
    """
    if asked not in ("auto", "native"):
        return DTYPES[asked]
    if device.type == "cuda":
        return half
    return torch.bfloat16 if asked == "native" and computes_in("bfloat16") else torch.float32


def cast_to(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Products and convolutions in that type, sums and norms in float32; weights stay theirs."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)

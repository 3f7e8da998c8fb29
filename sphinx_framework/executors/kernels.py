"""Which kernels a step may use on CUDA: fused attention only, TF32 for what stays in float32.

Without this, PyTorch falls back to attention by its formula where no fused kernel takes a call,
silently, and asks for all products of queries and keys at once: over 100 GB at official sizes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from sphinx_framework.errors import JobError
from sphinx_framework.shared_block import SharedBlock
from sphinx_framework.witness.company import AT_WORK
from sphinx_framework.witness.precision import Precision, allow_tf32

FUSED = [
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
]
NONE_FITS = "No available kernel"
GIGA = 1e9


@contextmanager
def fast_kernels(device: torch.device) -> Iterator[None]:
    """Within it, work on a CUDA device uses fused attention and TF32; other devices as ever.

    Both are settings of the whole process: while any thread is inside, all have them. What was set
    before the first came is set again when the last one leaves.
    """
    if device.type != "cuda":
        yield
        return
    with AT_WORK.inside(), _FAST.inside():
        yield


@contextmanager
def _fused_and_tf32() -> Iterator[None]:
    before = Precision.now()
    with sdpa_kernel(FUSED):
        allow_tf32()
        try:
            yield
        finally:
            before.put_back()


_FAST = SharedBlock(_fused_and_tf32)


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """``scaled_dot_product_attention``; raises :class:`JobError` where no fused kernel fits."""
    try:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    except RuntimeError as error:
        if NONE_FITS not in str(error):
            raise
        pairs = query.shape[:-1].numel() * key.shape[-2]
        masked = "" if mask is None else f", a mask of {mask.dtype}"
        raise JobError(
            f"no fused attention kernel takes {tuple(query.shape)} queries on "
            f"{tuple(key.shape)} keys in {query.dtype}{masked}; by its formula this call would "
            f"take {8 * pairs / GIGA:.1f} GB at once.",
            hint="Run the network in bfloat16 or float16; heads must be multiples of 8, to 256.",
            kind="no-kernel",
            stage="denoise",
        ) from error

"""Which kernels a step may use on CUDA: fused attention only, TF32 for what stays in float32.

Without this, PyTorch falls back to attention by its formula where no fused kernel takes a call,
silently, and asks for all products of queries and keys at once: over 100 GB at official sizes.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from sphinx_framework.errors import JobError
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
    with _FAST.inside():
        yield


class _Fast:
    """The kernels of whoever is inside, set once and put back once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._set = ExitStack()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be inside for a block."""
        with AT_WORK.inside():
            with self._lock:
                if not self._inside:
                    self._set = ExitStack()
                    self._set.callback(Precision.now().put_back)
                    self._set.enter_context(sdpa_kernel(FUSED))
                    allow_tf32()
                self._inside += 1
            try:
                yield
            finally:
                with self._lock:
                    self._inside -= 1
                    if not self._inside:
                        self._set.close()


_FAST = _Fast()


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

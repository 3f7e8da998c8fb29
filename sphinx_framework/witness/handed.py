"""What a component is handed and gives back: whether it was written into, and whose memory it is.

Torch counts what is written through a tensor, at no cost. Writes through numpy or ``.data`` are not
counted: on a CPU a copy of what is small tells them, and of what is not two sums over the bits (a
pass over memory, far below one percent of a network's time); on other devices nothing but
``sphinx-nvs check`` does.
"""

import numpy as np
import torch
from torch import Tensor

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_WORD = 8  # bytes that are added at once
_STRIDE = 5  # of the second sum, so that numbers that changed places show
_SMALL = 1 << 17  # bytes


def seen(tensor: Tensor) -> tuple[int | bytes, ...]:
    """What changes when the tensor's memory is written."""
    count = 0 if tensor.is_inference() else tensor._version
    bits = _BITS.get(tensor.element_size())
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or bits is None:
        return (count,)
    flat = tensor.detach()
    if flat.ndim == 4 and not flat.is_contiguous():  # channels last, perhaps
        flat = flat.permute(0, 2, 3, 1)
    if flat.is_conj() or flat.is_neg() or not flat.is_contiguous():
        flat = flat.resolve_conj().resolve_neg().contiguous()
    held = flat.reshape(-1).view(bits).numpy()
    if held.nbytes <= _SMALL:
        return count, held.tobytes()
    held = held.view(np.uint8)
    whole = len(held) // _WORD * _WORD
    words = held[:whole].view(np.int64)
    rest = int(held[whole:].sum()) if whole < len(held) else 0
    return count, int(words.sum()), int(words[::_STRIDE].sum()), rest


def owned(answer: Tensor) -> Tensor:
    """A copy without gradients: a component may write its next answer where this one was.

    A plain tensor: what a class of the component's own does is nobody else's business.
    """
    return answer.detach().as_subclass(torch.Tensor).clone()

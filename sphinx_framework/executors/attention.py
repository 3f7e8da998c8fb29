"""Multi-head attention on projected tokens, for the two shapes the executors need."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Below this many keys a fused kernel is mostly padding (sequences of one entry per frame).
SHORT = 64


def attend(
    query: Float[Tensor, "B n D"],
    key: Float[Tensor, "B m D"],
    value: Float[Tensor, "B m E"],
    heads: int,
) -> Float[Tensor, "B n E"]:
    """Softmax attention per batch entry, scale ``1/sqrt(D/heads)``."""
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def attend_frames(
    query: Float[Tensor, "B f n D"],
    key: Float[Tensor, "B T n D"],
    value: Float[Tensor, "B T n E"],
    heads: int,
) -> Float[Tensor, "B f n E"]:
    """Attention along the frame axis, separately at every cell ``n``."""
    q, k, v = (t.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1, 4) for t in (query, key, value))
    if k.shape[3] <= SHORT:
        logits = torch.matmul(q, k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        mixed = torch.matmul(logits.softmax(dim=-1), v)
    else:
        mixed = F.scaled_dot_product_attention(q, k, v)
    return mixed.permute(0, 3, 1, 2, 4).flatten(3)

"""Multi-head attention on projected tokens, for the shapes the executors need."""

from collections.abc import Sequence
from itertools import groupby

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.executors.kernels import fused_attention
from sphinx_framework.protocols import Sight

# Below this many keys a fused kernel is mostly padding (sequences of one entry per frame).
SHORT = 64
# Guidance branches: so many calls cost less than a copy of the clip's keys.
FEW = 4


def attend(
    query: Float[Tensor, "B n D"],
    key: Float[Tensor, "B m D"],
    value: Float[Tensor, "B m E"],
    heads: int,
    mask: Tensor | None = None,
) -> Float[Tensor, "B n E"]:
    """Softmax attention per batch entry, scale ``1/sqrt(D/heads)``.

    mask: ``[B or 1, heads or 1, n, m]``, added, or True where a query may look.
    """
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (query, key, value))
    mixed = fused_attention(q, k, v, _like(mask, q))
    return mixed.transpose(1, 2).flatten(2)


def attend_frames(
    query: Float[Tensor, "B f n D"],
    key: Float[Tensor, "B T n D"],
    value: Float[Tensor, "B T n E"],
    heads: int,
    mask: Tensor | None = None,
) -> Float[Tensor, "B f n E"]:
    """Attention along the frame axis, separately at every cell ``n``.

    mask: ``[B or 1, heads or 1, f, T]``, the same at every cell.
    """
    q, k, v = (t.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1, 4) for t in (query, key, value))
    mask = None if mask is None else _like(mask[:, None], q)
    if k.device.type != "cpu":
        mixed = fused_along_frames(q, k, v, mask)
    elif k.shape[3] <= SHORT:
        mixed = attend_in_cells(q, k, v, mask)
    else:
        mixed = fused_attention(q, k, v, mask)
    return mixed.permute(0, 3, 1, 2, 4).flatten(3)


def in_cells(tokens: Float[Tensor, "R n D"], heads: int) -> Float[Tensor, "R n H d"]:
    """Heads apart; in memory the rows of a cell lie side by side, as products by hand want them."""
    return tokens.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3).contiguous().permute(2, 0, 1, 3)


def by_hand(key: Tensor, num_frames: int) -> bool:
    """Whether attention along frames is two plain products: where no fused kernel pays."""
    return key.device.type == "cpu" and num_frames <= SHORT


def attend_in_cells(
    query: Float[Tensor, "*cell f d"],
    key: Float[Tensor, "*cell T d"],
    value: Float[Tensor, "*cell T e"],
    mask: Tensor | None = None,
) -> Float[Tensor, "*cell f e"]:
    """Attention by two products, separately in every cell (and head, and branch)."""
    logits = torch.matmul(query, key.transpose(-1, -2)) * query.shape[-1] ** -0.5
    return torch.matmul(_masked(logits, mask).softmax(dim=-1), value)


def fused_along_frames(
    query: Float[Tensor, "B n H f d"],
    key: Float[Tensor, "B n H T d"],
    value: Float[Tensor, "B n H T e"],
    mask: Tensor | None,
) -> Float[Tensor, "B n H f e"]:
    """One kernel per entry of ``B``, or one in all where there are many: no copies of the keys.

    Products by hand would first copy all keys and values of the clip, which lie frame after frame.
    Fused kernels read them where they are, but take four axes only.
    """
    if len(key) > FEW:
        wide = None if mask is None else mask.expand(*query.shape[:2], *mask.shape[2:])
        q, k, v = (t.flatten(0, 1) for t in (query, key, value))
        m = None if wide is None else wide.flatten(0, 1)
        mixed = fused_attention(q, k, v, m)
        return mixed.unflatten(0, query.shape[:2])
    masks = [None if mask is None else mask[min(i, len(mask) - 1)] for i in range(len(key))]
    return torch.stack(
        [fused_attention(q, k, v, m) for q, k, v, m in zip(query, key, value, masks, strict=True)]
    )


def attend_causally(
    query: Float[Tensor, "g r n D"],
    frames: Sequence[int],
    key: Float[Tensor, "g T m D"],
    value: Float[Tensor, "g T m E"],
    heads: int,
    sight: Sight,
    bias: Tensor | None,
) -> Float[Tensor, "g r n E"]:
    """Attention of rows over all tokens of their own and of earlier frames.

    frames: of every row, ascending. bias: ``[B H r n T m]``. One plain attention per frame: no
    mask of all tokens against all tokens, and half of its work.
    """
    parts, row = [], 0
    for frame, same in groupby(frames):
        held = slice(row, row := row + len(list(same)))
        k, v = extended(
            key[:, : frame + 1].flatten(1, 2), value[:, : frame + 1].flatten(1, 2), sight
        )
        part = None if bias is None else bias[:, :, held, :, : frame + 1].flatten(4).flatten(2, 3)
        mixed = attend(query[:, held].flatten(1, 2), k, v, heads, widened(part, sight))
        parts.append(mixed.unflatten(1, (-1, query.shape[2])))
    return torch.cat(parts, dim=1)


def extended(key: Tensor, value: Tensor, sight: Sight | None) -> tuple[Tensor, Tensor]:
    """Keys and values ``[B m D]``, ``B = g * k``, with the tokens of no frame after them."""
    if sight is None or sight.key is None or sight.value is None:
        return key, value
    times = key.shape[0] // sight.key.shape[0]
    return (
        torch.cat([key, sight.key.repeat_interleave(times, 0)], 1),
        torch.cat([value, sight.value.repeat_interleave(times, 0)], 1),
    )


def extended_frames(key: Tensor, value: Tensor, sight: Sight | None) -> tuple[Tensor, Tensor]:
    """The same for keys and values ``[B T n D]``: a token of no frame is like one more frame."""
    if sight is None or sight.key is None or sight.value is None:
        return key, value
    times = key.shape[0] // sight.key.shape[0]

    def more(tokens: Tensor) -> Tensor:
        return tokens.repeat_interleave(times, 0)[:, :, None].expand(-1, -1, key.shape[2], -1)

    return torch.cat([key, more(sight.key)], 1), torch.cat([value, more(sight.value)], 1)


def widened(mask: Tensor | None, sight: Sight | None) -> Tensor | None:
    """A mask of the frames' tokens, grown so that every query sees the tokens of no frame."""
    if mask is None or sight is None or sight.key is None:
        return mask
    return F.pad(mask, (0, sight.key.shape[1]), value=float(mask.dtype is torch.bool))


def frames_mask(sight: Sight | None, frames: Int[Tensor, " *f"], num_frames: int) -> Tensor | None:
    """Mask ``[B H *f T(+m)]`` of queries in the given frames against the T frames (and more)."""
    if sight is None:
        return None
    mask = None if sight.bias is None else sight.bias[:, :, frames]
    if sight.causal:
        earlier = torch.arange(num_frames, device=frames.device) <= frames[..., None]
        mask = earlier[None, None] if mask is None else _both(mask, earlier)
    return widened(mask, sight)


def refuse_causal_frame(sight: Sight | None) -> None:
    """Raise ``ValueError`` for causal attention within a frame, which has no order of frames."""
    if sight is not None and sight.causal:
        raise ValueError('causal attention is over frames: use reach "frames" or "clip"')


def _both(mask: Tensor, allowed: Bool[Tensor, "*f T"]) -> Tensor:
    if mask.dtype is torch.bool:
        return mask & allowed
    return mask.masked_fill(~allowed, float("-inf"))


def _like(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A float mask in the queries' dtype, as fused kernels want it."""
    return mask if mask is None or mask.dtype is torch.bool else mask.to(query.dtype)


def _masked(logits: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return logits
    if mask.dtype is torch.bool:
        return logits.masked_fill(~mask, float("-inf"))
    return logits + mask

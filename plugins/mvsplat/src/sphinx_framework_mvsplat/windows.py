"""Which tokens attend to which in (shifted) window attention, and the attention itself.

A shifted layer rolls the map by half a window, cuts it into windows, and forbids attention between
parts of a window that were not neighbours before the roll: the reference adds -100 to such scores.
Those parts partition queries and keys, so attending part by part needs no mask, no score matrix in
memory and about half the work. (It takes -100 as minus infinity: exp(-100) vanishes in float32.)
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionGroups:
    """``g`` groups of equal size: ``m`` queries that attend to the same ``n`` keys.

    queries, keys: indices into the tokens of all views, ``view * height * width + cell``.
    """

    queries: Int[Tensor, "g m"]
    keys: Int[Tensor, "g n"]


def window_groups(
    size: tuple[int, int], views: int, split: int, *, shifted: bool, across: bool
) -> list[AttentionGroups]:
    """Groups of one layer over maps of ``size`` (height, width), by group size.

    split: windows along each side. across: keys come from the other views instead of the own one.
    """
    cells, labels = _windows(size, split, shifted=shifted)
    per_view = size[0] * size[1]
    by_size: dict[int, tuple[list[Tensor], list[Tensor]]] = {}
    for window, label in zip(cells, labels, strict=True):
        for part in label.unique():
            inside = window[label == part]
            queries, keys = by_size.setdefault(len(inside), ([], []))
            for view in range(views):
                queries.append(view * per_view + inside)
                if across:
                    others = torch.tensor([other for other in range(views) if other != view])
                    keys.append(_keys_across(window, label == part, others * per_view))
                else:
                    keys.append(queries[-1])
    return [
        AttentionGroups(queries=torch.stack(queries), keys=torch.stack(keys))
        for queries, keys in by_size.values()
    ]


def grouped_attention(
    query: Float[Tensor, "b n C"],
    key: Float[Tensor, "b n C"],
    value: Float[Tensor, "b n C"],
    groups: list[AttentionGroups],
) -> Float[Tensor, "b n C"]:
    """Single-head attention within each group; the groups' queries cover every token once."""
    result = torch.empty_like(query)
    for group in groups:
        attended = functional.scaled_dot_product_attention(
            query[:, group.queries], key[:, group.keys], value[:, group.keys]
        )
        result[:, group.queries.flatten()] = attended.flatten(1, 2).to(result.dtype)
    return result


def _windows(size: tuple[int, int], split: int, *, shifted: bool) -> tuple[Tensor, Tensor]:
    """Cells of every window, ``[split**2, cells]``, and the label of the part each belongs to."""
    height, width = size
    window = height // split, width // split
    cells = torch.arange(height * width).view(height, width)
    labels = torch.zeros_like(cells)
    if shifted:
        shift = window[0] // 2, window[1] // 2
        cells = cells.roll((-shift[0], -shift[1]), (0, 1))
        rows = _bands(height, window[0], shift[0])
        columns = _bands(width, window[1], shift[1])
        labels = 3 * rows[:, None] + columns[None, :]

    def cut(grid: Tensor) -> Tensor:
        parts = grid.view(split, window[0], split, window[1])
        return parts.transpose(1, 2).reshape(split * split, -1)

    return cut(cells), cut(labels)


def _bands(length: int, window: int, shift: int) -> Int[Tensor, " length"]:
    """0 before the last window, then 1, and 2 for the last ``shift`` cells (rolled around)."""
    position = torch.arange(length)
    return (position >= length - window).long() + (position >= length - shift).long()


def _keys_across(window: Tensor, part: Tensor, offsets: Tensor) -> Int[Tensor, " n"]:
    """Keys of one part of a window in the other views.

    Keys are laid out with the view fastest, yet the reference repeats its mask with the view
    slowest: key ``j`` belongs to cell ``j // others`` but is masked as cell ``j % cells``. The
    weights were trained so; with one other view both are the same.
    """
    others = len(offsets)
    index = part.repeat(others).nonzero().flatten()
    return window[index // others] + offsets[index % others]

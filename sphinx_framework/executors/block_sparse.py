"""The active tiles of the active frames; everything else comes from the latent cache.

Rows are tiles, so pointwise layers cost what the tiles cost. A convolution writes its tiles into
the cached input map and reads them back with their halo; norms use the statistics of the last full
pass; attention reads cached keys and values with the active tokens written over them. With a cache
of the same input the result equals the dense one on the active tiles.
"""

from collections.abc import Sequence
from itertools import groupby
from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.attention import (
    attend,
    attend_frames,
    attend_in_cells,
    by_hand,
    extended,
    extended_frames,
    frames_mask,
    refuse_causal_frame,
    widened,
)
from sphinx_framework.executors.dense import DenseExecutor, zero_border
from sphinx_framework.executors.kept import keeps_for, packed_conv2d
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.statistics import clip_statistics, normalised
from sphinx_framework.executors.taps import mixed_cells
from sphinx_framework.executors.tiles import TileSet, gather, scatter, split
from sphinx_framework.protocols import Reach, Sight

# From this many tokens of a frame on, a call of attention per frame costs less than padding.
_MANY_TOKENS = 64


class BlockSparseExecutor(DenseExecutor):
    """Rows are tiles, guidance branches outermost."""

    def __init__(
        self,
        num_frames: int,
        cache: LatentCache,
        tiles: TileSet,
        constants: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__(num_frames, constants)
        self.cache = cache
        self.tiles = tiles

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        branches = per_frame.shape[0] // self.num_frames
        return per_frame[self.tiles.rows_of(branches)]

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        keeps = keeps_for(self.cache.kept, per_frame)
        if keeps and any(per_frame is constant for constant in self.constants.values()):
            return self.tiles.cut(per_frame)  # the same at every step of the request
        return gather(per_frame, self.tiles)

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        canvas = self.cache.get(f"{site}.input")  # [gT, h + 2p, w + 2q, C]
        branches = canvas.shape[0] // self.num_frames
        side, border = (x.shape[2], x.shape[3]), zero_border(conv)
        flat = canvas.flatten(0, 2)
        cells = x.permute(0, 2, 3, 1).flatten(0, 2)
        flat.index_copy_(0, self.tiles.cells(branches, side, border), cells)
        windows = flat.index_select(0, self.tiles.windows(branches, side, border))
        extent = (side[0] + 2 * border[0], side[1] + 2 * border[1])
        windows = windows.view(-1, *extent, x.shape[1]).permute(0, 3, 1, 2)
        return packed_conv2d(site, windows, conv.weight, conv, self.cache.kept)

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        if reach == "frame":
            mean, inverse = self.rows(self.cache.get(f"{site}.statistics")).unbind(-1)
            return normalised(x, norm, mean, inverse).to(x.dtype)
        moments = self.cache.get(f"{site}.moments")
        clip_mean, clip_inverse = clip_statistics(moments, self.num_frames, norm.eps)
        return normalised(x, norm, self.rows(clip_mean), self.rows(clip_inverse)).to(x.dtype)

    def attention(
        self,
        site: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        heads: int,
        reach: Reach,
        sight: Sight | None = None,
    ) -> Tensor:
        if reach == "frames" and sight is None and by_hand(key, self.num_frames):
            return self._place_by_place(query, *self._in_cells(site, key, value, heads))
        k, v = self._all_frames(site, key, value)  # [g, T, h*w, D]
        if reach == "frame":
            refuse_causal_frame(sight)
            if self._unpadded(key, k.shape[2]) and sight is None:
                return self._frame_by_frame(self._held(query), k, v, heads)
            return self._within_frames(query, k, v, heads, sight)
        if reach == "frames":
            return self._across_cells(query, k.flatten(0, 1), v.flatten(0, 1), heads, sight)
        return self._over_clip(self._held(query), k, v, heads, sight)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        whole = self.cache.get(f"{site}.input")  # [gT, C, h, w]
        if x.device.type == "cpu":
            return self._mixed_cells(site, conv, whole.permute(0, 2, 3, 1), x)
        scatter(whole, x, self.tiles)
        near = self._at_frames(whole, conv.kernel_size[0])  # [gn, C, taps, a, b]
        weight = conv.weight.flatten(1)[..., None, None]
        return F.conv2d(near.flatten(1, 2), weight, conv.bias)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        whole = self.cache.get(f"{site}.input")
        scatter(whole, x, self.tiles)
        cells = self._clips(split(whole, self.tiles.grid))  # [g, T, C, y, a, x, b]
        picked = cells[:, :, :, self.tiles.row, :, self.tiles.column]  # [n, g, T, C, a, b]
        return picked.transpose(0, 1).flatten(0, 1)

    def _mixed_cells(
        self,
        site: str,
        conv: nn.Conv3d,
        whole: Float[Tensor, "gT h w C"],
        x: Float[Tensor, "R C a b"],
    ) -> Float[Tensor, "R D a b"]:
        """The convolution along frames on a CPU: recorded with the channels side by side."""
        branches, taps = len(whole) // self.num_frames, conv.kernel_size[0]
        side = (x.shape[2], x.shape[3])
        flat = whole.flatten(0, 2)
        cells = x.permute(0, 2, 3, 1).flatten(0, 2)
        flat.index_copy_(0, self.tiles.cells(branches, side), cells)
        near = flat.index_select(0, self.tiles.cells_around(branches, side, taps))
        near = near.view(len(x), -1, taps, x.shape[1])
        inside = self.tiles.around(branches, taps)[3]
        if inside is not None:
            near.mul_(inside.view(len(x), 1, taps, 1).to(near.dtype))
        mixed = mixed_cells(site, near.flatten(0, 1), conv, self.cache.kept)
        return mixed.view(len(x), *side, -1).permute(0, 3, 1, 2)

    def _at_frames(
        self, whole: Float[Tensor, "gT C h w"], taps: int
    ) -> Float[Tensor, "R C taps a b"]:
        """The active tiles' places in the frames around theirs; zeros beyond the clip."""
        branches, tiles = whole.shape[0] // self.num_frames, self.tiles
        rows, y, x, inside = tiles.around(branches, taps)
        channels = torch.arange(whole.shape[1], device=whole.device)[:, None]
        near = split(whole, tiles.grid)[rows, channels, y, :, x]
        return near if inside is None else near.mul_(inside.to(near.dtype))

    def _updated_tokens(self, slot: str, tokens: Float[Tensor, "R n D"]) -> Tensor:
        whole = self.cache.get(slot)
        side = self._side(tokens.shape[1], whole.shape[1])
        branches = whole.shape[0] // self.num_frames
        whole.flatten(0, 1).index_copy_(0, self.tiles.cells(branches, side), tokens.flatten(0, 1))
        return whole

    def _in_cells(self, site: str, key: Tensor, value: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        return (
            self._clips(self._updated_cells(f"{site}.key", key, heads)),
            self._clips(self._updated_cells(f"{site}.value", value, heads)),
        )

    def _updated_cells(self, slot: str, tokens: Float[Tensor, "R n D"], heads: int) -> Tensor:
        """The slot ``[gT n H d]`` with the active cells written over it."""
        whole = self.cache.get(slot)
        branches = whole.shape[0] // self.num_frames
        rows = self.tiles.rows_of(branches)[:, None]
        cells = self._cells_of_frame(whole.shape[1]).repeat(branches, 1)
        whole[rows, cells] = tokens.unflatten(-1, (heads, -1))
        return whole

    def _place_by_place(
        self, query: Tensor, k: Float[Tensor, "g T n H d"], v: Float[Tensor, "g T n H e"]
    ) -> Float[Tensor, "R m D"]:
        """Attention along frames by two products, whose keys lie cell by cell."""
        groups, cells = self.tiles.by_place, query.shape[1]
        numbers = self.tiles.place_cells(self._side(cells, k.shape[2]))
        heads = k.shape[3]
        q = groups.grouped(self._held(query)).unflatten(-1, (heads, -1))
        q = q.permute(1, 3, 4, 0, 2, 5)  # [p, cells, H, g, most, d]
        k, v = (
            t.permute(2, 3, 0, 1, 4).index_select(0, numbers).unflatten(0, (-1, cells))
            for t in (k, v)
        )
        mixed = attend_in_cells(q, k, v).permute(3, 0, 4, 1, 2, 5)  # [g, p, most, cells, H, d]
        return groups.ungrouped(mixed.flatten(4)).flatten(0, 1)

    def _unpadded(self, key: Tensor, tokens: int) -> bool:
        """Whether a call per frame costs less than padding: on a CPU, and not to be compiled."""
        return key.device.type == "cpu" and tokens >= _MANY_TOKENS and not self.tiles.padded

    def _frame_by_frame(
        self, q: Float[Tensor, "g n m D"], k: Tensor, v: Tensor, heads: int
    ) -> Float[Tensor, "R m D"]:
        """Attention within frames without padding: the tiles of a frame lie side by side."""
        counts = [len(list(same)) for _, same in groupby(self.tiles.frame_list)]
        frames = sorted(set(self.tiles.frame_list))
        mixed = [
            attend(tiles.flatten(0, 1)[None], keys[frame][None], values[frame][None], heads)[0]
            for rows, keys, values in zip(q, k, v, strict=True)
            for frame, tiles in zip(frames, rows.split(counts), strict=True)
        ]
        return torch.cat(mixed).unflatten(0, (-1, q.shape[2]))

    def _all_frames(self, site: str, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        k = self._updated_tokens(f"{site}.key", key)
        v = self._updated_tokens(f"{site}.value", value)
        return self._clips(k), self._clips(v)

    def _held(self, x: Tensor) -> Tensor:
        return x.unflatten(0, (-1, len(self.tiles)))

    def _frame_list(self) -> Sequence[int]:
        return self.tiles.frame_list

    def _clip_bias(self, sight: Sight, tokens: int) -> Tensor | None:
        """Bias ``[B H tiles cells T m]``: the rows of the active cells."""
        if sight.bias is None:
            return None
        cells = self._cells_of_frame(tokens)
        numbers = self.tiles.frame[:, None] * tokens + cells  # [tiles, cells]
        return sight.bias[:, :, numbers].unflatten(4, (self.num_frames, tokens))

    def _cells_of_frame(self, tokens: int) -> Tensor:
        """Number in its own frame of every cell of every tile, ``[tiles cells]``."""
        side = isqrt(tokens // (self.tiles.grid[0] * self.tiles.grid[1]))
        cells = self.tiles.cells(1, (side, side)).view(len(self.tiles), -1)
        return cells - self.tiles.frame[:, None] * tokens

    def _side(self, tokens: int, whole: int) -> tuple[int, int]:
        side = isqrt(tokens)
        if side * side != tokens or tokens * self.tiles.grid[0] * self.tiles.grid[1] != whole:
            raise ValueError(
                f"tiles of {tokens} tokens do not fill a map of {whole} on grid {self.tiles.grid}"
            )
        return side, side

    def _within_frames(
        self, query: Tensor, k: Tensor, v: Tensor, heads: int, sight: Sight | None
    ) -> Tensor:
        groups = self.tiles.by_frame
        q = self._held(query)  # [g, n, cells, D]
        padded = groups.grouped(q).flatten(0, 1).flatten(1, 2)  # [g f, most * cells, D]
        frames, span = self.tiles.frames, self.tiles.span
        if sight is None and span is not None:
            # Frames side by side: their keys are read where they are.
            of_branch = zip(padded.chunk(len(k)), k[:, span], v[:, span], strict=True)
            mixed = torch.cat([attend(*one, heads) for one in of_branch])
        else:
            keys, values = (t[:, frames].flatten(0, 1) for t in (k, v))
            mask = widened(self._bias_within(sight, k.shape[2], len(k)), sight)
            mixed = attend(padded, *extended(keys, values, sight), heads, mask)
        mixed = mixed.unflatten(1, (groups.member.shape[1], -1)).unflatten(0, (-1, len(frames)))
        return groups.ungrouped(mixed).flatten(0, 1)

    def _bias_within(self, sight: Sight | None, tokens: int, branches: int) -> Tensor | None:
        """Bias ``[g f, H, most * cells, m]`` of padded groups of tiles against their frames."""
        if sight is None or sight.bias is None:
            return None
        groups, frames = self.tiles.by_frame, self.tiles.frames
        cells = self._cells_of_frame(tokens)[groups.member]  # [f, most, cells]
        bias = sight.bias
        if bias.shape[0] == 1:
            picked = bias[0][:, cells].transpose(0, 1).flatten(2, 3)  # [f, H, most * cells, m]
            return picked.repeat(branches, 1, 1, 1)
        own = self._clips(bias)[:, frames].flatten(0, 1)  # [g f, H, n, m]
        at = cells.flatten(1).repeat(branches, 1)[:, None, :, None]
        return own.gather(2, at.expand(-1, own.shape[1], -1, own.shape[3]))

    def _across_cells(
        self, query: Tensor, k: Tensor, v: Tensor, heads: int, sight: Sight | None
    ) -> Tensor:
        groups = self.tiles.by_place
        side = self._side(query.shape[1], k.shape[1])
        q = groups.grouped(self._held(query))  # [g, p, most, cells, D]
        # Fused kernels want the frames of a cell side by side; products by hand (on CPUs) do not.
        by_cell = k.device.type != "cpu"
        numbers = self.tiles.columns(k.shape[0] // self.num_frames, side, by_cell=by_cell)

        def at_places(tokens: Tensor) -> Tensor:
            picked = tokens.flatten(0, 1).index_select(0, numbers)
            if by_cell:
                picked = picked.view(-1, query.shape[1], self.num_frames, tokens.shape[2])
                return picked.transpose(1, 2)
            return picked.view(-1, self.num_frames, query.shape[1], tokens.shape[2])

        mask = frames_mask(sight, self.tiles.frame[groups.member], self.num_frames)
        if mask is not None:  # [B, H, p, most, T]
            mask = mask.transpose(1, 2).expand(-1, len(self.tiles.places), -1, -1, -1)
            mask = mask.expand(q.shape[0], -1, -1, -1, -1).flatten(0, 1)
        keys, values = extended_frames(at_places(k), at_places(v), sight)
        mixed = attend_frames(q.flatten(0, 1), keys, values, heads, mask)
        mixed = mixed.unflatten(0, (-1, len(self.tiles.places)))
        return groups.ungrouped(mixed).flatten(0, 1)

"""The active tiles of the active frames; everything else comes from the latent cache.

Rows are tiles, so pointwise layers cost what the tiles cost. A convolution writes its tiles into
the cached input map and reads them back with their halo; norms use the statistics of the last full
pass; attention reads cached keys and values with the active tokens written over them. With a cache
of the same input the result equals the dense one on the active tiles.
"""

from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.executors.attention import attend, attend_frames
from sphinx_framework.executors.dense import DenseExecutor, same_conv2d
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import clip_statistics, normalised
from sphinx_framework.executors.tiles import TileSet, gather, gather_windows, scatter
from sphinx_framework.protocols import Reach


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
        return per_frame[self.tiles.rows_of(branches, self.num_frames)]

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        return gather(per_frame, self.tiles, self.num_frames)

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        canvas = self.cache.get(f"{site}.input")
        above, left = int(conv.padding[0]), int(conv.padding[1])
        inner = canvas[:, :, above : canvas.shape[2] - above, left : canvas.shape[3] - left]
        scatter(inner, x, self.tiles, self.num_frames)
        side = (x.shape[2], x.shape[3])
        windows = gather_windows(canvas, self.tiles, self.num_frames, side, (above, left))
        return same_conv2d(conv, windows, (0, 0))

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        if reach == "frame":
            mean, inverse = self.rows(self.cache.get(f"{site}.statistics")).unbind(-1)
            return normalised(x, norm, mean, inverse)
        cells = x[0].numel() // norm.num_groups * self.tiles.grid[0] * self.tiles.grid[1]
        clip_mean, clip_inverse = clip_statistics(
            self.cache.get(f"{site}.sums"), self.num_frames, cells, norm.eps
        )
        return normalised(x, norm, self.rows(clip_mean).float(), self.rows(clip_inverse).float())

    def attention(
        self, site: str, query: Tensor, key: Tensor, value: Tensor, heads: int, reach: Reach
    ) -> Tensor:
        k = self._updated_tokens(f"{site}.key", key)  # [gT, h*w, D]
        v = self._updated_tokens(f"{site}.value", value)
        if reach == "frame":
            return self._within_frames(query, k, v, heads)
        if reach == "frames":
            return self._across_cells(query, k, v, heads)
        branches = k.shape[0] // self.num_frames
        mixed = attend(
            query.unflatten(0, (branches, -1)).flatten(1, 2),
            self._clips(k).flatten(1, 2),
            self._clips(v).flatten(1, 2),
            heads,
        )
        return mixed.unflatten(1, (len(self.tiles), -1)).flatten(0, 1)

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        scatter(self.cache.get(f"{site}.input"), x, self.tiles, self.num_frames)
        taps = conv.kernel_size[0]
        clips = F.pad(self._all_frames(f"{site}.input"), (0, 0, 0, 0, 0, 0, taps // 2, taps // 2))
        branches = clips.shape[0] // len(self.tiles)
        frame = self.tiles.frame.repeat(branches)
        tile = torch.arange(len(frame), device=frame.device)
        near = torch.stack([clips[tile, frame + tap] for tap in range(taps)], dim=2)
        weight = conv.weight.flatten(1)[..., None, None]
        return F.conv2d(near.flatten(1, 2), weight, conv.bias)

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        scatter(self.cache.get(f"{site}.input"), x, self.tiles, self.num_frames)
        return self._all_frames(f"{site}.input")

    def _all_frames(self, slot: str) -> Float[Tensor, "R T C a b"]:
        """Every tile's place in all T frames of its branch."""
        clips = self._clips(self.cache.get(slot))  # [g, T, C, h, w]
        grid = self.tiles.grid
        cells = clips.unflatten(4, (grid[1], -1)).unflatten(3, (grid[0], -1))
        # [g, T, C, y, a, x, b] -> advanced indices in front: [n, g, T, C, a, b]
        picked = cells[:, :, :, self.tiles.row, :, self.tiles.column]
        return picked.transpose(0, 1).flatten(0, 1)

    def _updated_tokens(self, slot: str, tokens: Float[Tensor, "R n D"]) -> Tensor:
        whole = self.cache.get(slot)
        grid, side = self.tiles.grid, self._side(tokens.shape[1], whole.shape[1])
        maps = whole.transpose(1, 2).unflatten(2, (grid[0] * side[0], grid[1] * side[1]))
        values = tokens.transpose(1, 2).unflatten(2, side)
        scatter(maps, values, self.tiles, self.num_frames)
        return whole

    def _side(self, tokens: int, whole: int) -> tuple[int, int]:
        if tokens * self.tiles.grid[0] * self.tiles.grid[1] != whole:
            raise ValueError(
                f"tiles of {tokens} tokens do not fill a map of {whole} on grid {self.tiles.grid}"
            )
        side = isqrt(tokens)
        return side, tokens // side

    def _within_frames(self, query: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        groups = self.tiles.by_frame
        q = query.unflatten(0, (-1, len(self.tiles)))  # [g, n, cells, D]
        padded = q[:, groups.member].flatten(0, 1).flatten(1, 2)  # [g f, most * cells, D]
        frames = self.tiles.frames
        keys, values = (self._clips(t)[:, frames].flatten(0, 1) for t in (k, v))
        mixed = attend(padded, keys, values, heads)
        mixed = mixed.unflatten(1, (groups.member.shape[1], -1)).unflatten(0, (-1, len(frames)))
        return mixed[:, groups.group_of, groups.place_of].flatten(0, 1)

    def _across_cells(self, query: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        groups, grid = self.tiles.by_place, self.tiles.grid
        side = self._side(query.shape[1], k.shape[1])
        q = query.unflatten(0, (-1, len(self.tiles)))[:, groups.member]  # [g, p, most, cells, D]
        y, x = self.tiles.places // grid[1], self.tiles.places % grid[1]

        def at_places(tokens: Tensor) -> Tensor:
            maps = self._clips(tokens).unflatten(2, (grid[0], side[0], grid[1], side[1]))
            picked = maps[:, :, y, :, x]  # [p, g, T, a, b, D]
            return picked.transpose(0, 1).flatten(3, 4).flatten(0, 1)  # [g p, T, cells, D]

        mixed = attend_frames(q.flatten(0, 1), at_places(k), at_places(v), heads)
        mixed = mixed.unflatten(0, (-1, len(self.tiles.places)))
        return mixed[:, groups.group_of, groups.place_of].flatten(0, 1)

"""Square tiles of active frames: which they are, and how they are cut from and put into maps.

A tile keeps its row number at every level of a network: down-sampling halves the side of every
tile, so the grid of tiles never changes and only the side does. Cached maps are kept channels-last
and addressed by flat cell numbers, so that a gather copies whole channel vectors of just the
active tiles.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Rows sorted into groups of unequal size, padded to the largest by repeating a member.

    member: row at each place of each group. went: of each row, its place among the places of all
    groups.
    """

    member: Int[Tensor, "groups most"]
    went: Int[Tensor, " n"]

    def to(self, device: torch.device | None) -> "Groups":
        """Copy to a device."""
        return Groups(
            member=self.member.to(device),
            went=self.went.to(device),
        )

    def grouped(self, rows: Float[Tensor, "g n *d"]) -> Float[Tensor, "g groups most *d"]:
        """The rows, group by group."""
        picked = rows.index_select(1, self.member.flatten())
        return picked.unflatten(1, self.member.shape)

    def ungrouped(self, grouped: Float[Tensor, "g groups most *d"]) -> Float[Tensor, "g n *d"]:
        """The inverse of :meth:`grouped`."""
        return grouped.flatten(1, 2).index_select(1, self.went)


def group_rows(
    keys: Int[Tensor, " n"], *, padded: bool = False
) -> tuple[Int[Tensor, " groups"], Groups]:
    """Group equal keys; returns the distinct keys and the grouping.

    padded: at least two groups of two places each, by repeating what is there; nothing went there.
    """
    distinct, group_of, counts = torch.unique(keys, return_inverse=True, return_counts=True)
    order = torch.argsort(group_of, stable=True)
    starts = torch.cumsum(counts, 0) - counts
    place = torch.empty_like(group_of)
    place[order] = torch.arange(len(keys)) - starts[group_of[order]]
    offsets = torch.arange(int(counts.max()))[None].minimum(counts[:, None] - 1)
    member = order[starts[:, None] + offsets]
    if padded and member.shape[1] == 1:
        member = member.repeat(1, 2)
    if padded and len(member) == 1:
        member, distinct = member.repeat(2, 1), distinct.repeat(2)
    return distinct, Groups(member=member, went=group_of * member.shape[1] + place)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileSet:
    """The active tiles of a step, row-major within ascending frames.

    grid: tiles along (height, width) of a frame. frame, row, column: of each tile; ``frame_list``
    is ``frame`` on the host. active: the mask that it was made from, on the host. padded: see
    :meth:`for_compiler`.
    """

    grid: tuple[int, int]
    num_frames: int
    frame: Int[Tensor, " n"]
    row: Int[Tensor, " n"]
    column: Int[Tensor, " n"]
    by_frame: Groups
    frames: Int[Tensor, " f"]
    by_place: Groups
    places: Int[Tensor, " p"]
    frame_list: tuple[int, ...]
    active: Bool[Tensor, "T y x"]
    padded: bool = False
    _for_compiler: list["TileSet"] = field(default_factory=list)
    _made: dict[tuple[str, int, int, int, int, int], Tensor] = field(default_factory=dict)
    _cut: dict[int, tuple[Tensor, Tensor, tuple[int, int]]] = field(default_factory=dict)
    _around: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor, Tensor | None]] = field(
        default_factory=dict
    )

    @classmethod
    def from_mask(
        cls,
        active: Bool[Tensor, "T y x"],
        device: torch.device | None = None,
        *,
        padded: bool = False,
    ) -> "TileSet":
        """Build the index lists once per request; raises ``ValueError`` when nothing is active.

        padded: see :meth:`for_compiler`.
        """
        active = active.cpu()
        frame, row, column = active.nonzero(as_tuple=True)
        if len(frame) == 0:
            raise ValueError("a tile set needs at least one active tile")
        frames, by_frame = group_rows(frame, padded=padded)
        places, by_place = group_rows(row * active.shape[2] + column, padded=padded)
        return cls(
            grid=(active.shape[1], active.shape[2]),
            num_frames=active.shape[0],
            frame=frame.to(device),
            row=row.to(device),
            column=column.to(device),
            by_frame=by_frame.to(device),
            frames=frames.to(device),
            by_place=by_place.to(device),
            places=places.to(device),
            frame_list=tuple(frame.tolist()),
            active=active,
            padded=padded,
        )

    def for_compiler(self) -> "TileSet":
        """The same tiles, with nothing told apart that a compiled network would be retraced for.

        Groups are padded, so that neither their number nor their size is ever one; frames side by
        side and tiles away from the ends of the clip are treated as any others. Made once.
        """
        if not self.padded and not self._for_compiler:
            made = TileSet.from_mask(self.active, self.frame.device, padded=True)
            self._for_compiler.append(made)
        kept = self if self.padded else self._for_compiler[0]
        # Numbers that were made before are looked up, new ones are not: none are there.
        return replace(kept, _made={}, _around={}, _cut={})

    def __len__(self) -> int:
        return len(self.frame)

    def rows_of(self, branches: int) -> Int[Tensor, " gn"]:
        """Row of ``[gT ...]`` that holds each tile, branches outermost."""
        key = ("rows", branches, 0, 0, 0, 0)
        if key not in self._made:
            offsets = torch.arange(branches, device=self.frame.device)[:, None] * self.num_frames
            self._made[key] = (offsets + self.frame).flatten()
        return self._made[key]

    def cells(
        self, branches: int, side: tuple[int, int], border: tuple[int, int] = (0, 0)
    ) -> Int[Tensor, " gn_a_b"]:
        """Flat cell numbers of every tile in maps ``[gT h+2p w+2q ...]`` with a border."""
        return self._numbers("cells", branches, side, border)

    def windows(
        self, branches: int, side: tuple[int, int], border: tuple[int, int]
    ) -> Int[Tensor, " gn_ah_bw"]:
        """The same, of every tile together with a halo as wide as the border."""
        return self._numbers("windows", branches, side, border)

    @property
    def span(self) -> slice | None:
        """The frames as a slice of the clip, where no frame lies between them."""
        if self.padded:
            return None
        first, last = self.frame_list[0], self.frame_list[-1]
        return slice(first, last + 1) if last - first < len(self.frames) else None

    def columns(
        self, branches: int, side: tuple[int, int], *, by_cell: bool = False
    ) -> Int[Tensor, " gp_T_a_b"]:
        """Flat cell numbers of every distinct place in all frames of its branch.

        by_cell: the frames of a cell lie side by side, ``[gp a b T]``.
        """
        key = ("columns by cell" if by_cell else "columns", branches, *side, 0, 0)
        if key not in self._made:
            device = self.frame.device
            frame = torch.arange(branches * self.num_frames, device=device)
            frame = frame.view(branches, 1, self.num_frames)
            of_frame = self.grid[0] * side[0] * self.grid[1] * side[1]
            flat = self.place_cells(side).view(len(self.places), *side)
            numbers = frame[..., None, None] * of_frame + flat[None, :, None]
            numbers = numbers.movedim(2, -1) if by_cell else numbers
            self._made[key] = numbers.flatten()
        return self._made[key]

    def place_cells(self, side: tuple[int, int]) -> Int[Tensor, " p_a_b"]:
        """Flat cell numbers of every distinct place within a frame."""
        key = ("places", 0, *side, 0, 0)
        if key not in self._made:
            device = self.frame.device
            row, column = self.places // self.grid[1], self.places % self.grid[1]
            y = row[:, None] * side[0] + torch.arange(side[0], device=device)  # [p, a]
            x = column[:, None] * side[1] + torch.arange(side[1], device=device)
            width = self.grid[1] * side[1]
            self._made[key] = ((y * width)[:, :, None] + x[:, None, :]).flatten()
        return self._made[key]

    def around(
        self, branches: int, taps: int
    ) -> tuple[Int[Tensor, "gn 1 taps"], Tensor, Tensor, Tensor | None]:
        """Each tile's place in the frames around its own.

        Returns rows of ``[gT ...]``, grid rows and columns, and which of the frames lie in the
        clip, ``[gn 1 taps 1 1]``, or ``None`` where all do.
        """
        if (branches, taps) not in self._around:
            device = self.frame.device
            at = self.frame[:, None, None] + torch.arange(taps, device=device) - taps // 2
            held = at.clamp(0, self.num_frames - 1)
            offsets = torch.arange(branches, device=device).repeat_interleave(len(self))
            rows = held.repeat(branches, 1, 1) + (offsets * self.num_frames)[:, None, None]
            y, x = (t.repeat(branches)[:, None, None] for t in (self.row, self.column))
            inside = (at == held).repeat(branches, 1, 1)[..., None, None]
            beyond = self.padded or self._margin() < taps // 2
            self._around[branches, taps] = (rows, y, x, inside if beyond else None)
        return self._around[branches, taps]

    def cells_around(
        self, branches: int, side: tuple[int, int], taps: int
    ) -> Int[Tensor, " gn_a_b_taps"]:
        """Flat cell numbers of every tile's cells in the frames around its own."""
        key = ("around", branches, *side, taps, 0)
        if key not in self._made:
            rows = self.around(branches, taps)[0][:, 0]  # [gn, taps]
            beside = (rows - self.rows_of(branches)[:, None])[:, None]
            cells = self.cells(branches, side).view(len(rows), -1, 1)
            of_frame = self.grid[0] * side[0] * self.grid[1] * side[1]
            self._made[key] = (cells + beside * of_frame).flatten()
        return self._made[key]

    def cut(self, maps: Float[Tensor, "gT C h w"]) -> Float[Tensor, "gn C a b"]:
        """The active tiles of maps that do not change, cut once; their channels side by side."""
        known = self._cut.get(id(maps))  # whose maps are held, so that no others have their id
        if known is None or known[2] != (maps._version, known[1]._version):
            tiles = gather(maps, self).contiguous(memory_format=torch.channels_last)
            known = self._cut[id(maps)] = maps, tiles, (maps._version, tiles._version)
        return known[1]

    def _margin(self) -> int:
        """Frames between a tile's and an end of the clip, at least."""
        return min(self.frame_list[0], self.num_frames - 1 - self.frame_list[-1])

    def _numbers(
        self, kind: str, branches: int, side: tuple[int, int], border: tuple[int, int]
    ) -> Tensor:
        key = (kind, branches, *side, *border)
        if key not in self._made:
            device = self.frame.device
            height = self.grid[0] * side[0] + 2 * border[0]
            width = self.grid[1] * side[1] + 2 * border[1]
            # A window starts where its tile would start without the border.
            shift = border if kind == "cells" else (0, 0)
            extent = side if kind == "cells" else (side[0] + 2 * border[0], side[1] + 2 * border[1])
            y = (self.row * side[0] + shift[0])[:, None] + torch.arange(extent[0], device=device)
            x = (self.column * side[1] + shift[1])[:, None] + torch.arange(extent[1], device=device)
            flat = (y * width)[:, :, None] + x[:, None, :]  # [n, a, b]
            frame = self.rows_of(branches)[:, None, None] * (height * width)
            self._made[key] = (frame + flat.repeat(branches, 1, 1)).flatten()
        return self._made[key]


def split(maps: Float[Tensor, "M C h w"], grid: tuple[int, int]) -> Float[Tensor, "M C y a x b"]:
    """View maps as a grid of tiles (no copy)."""
    return maps.unflatten(3, (grid[1], -1)).unflatten(2, (grid[0], -1))


def gather(maps: Float[Tensor, "gT C h w"], tiles: TileSet) -> Float[Tensor, "gn C a b"]:
    """Cut the active tiles out of maps of any level."""
    branches = maps.shape[0] // tiles.num_frames
    y, x = tiles.row.repeat(branches), tiles.column.repeat(branches)
    return split(maps, tiles.grid)[tiles.rows_of(branches), :, y, :, x]


def scatter(
    maps: Float[Tensor, "gT C h w"], values: Float[Tensor, "gn C a b"], tiles: TileSet
) -> None:
    """Write tiles into maps, in place; the inverse of :func:`gather`."""
    branches = maps.shape[0] // tiles.num_frames
    y, x = tiles.row.repeat(branches), tiles.column.repeat(branches)
    split(maps, tiles.grid)[tiles.rows_of(branches), :, y, :, x] = values

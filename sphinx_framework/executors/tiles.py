"""Square tiles of active frames: which they are, and how they are cut from and put into maps.

A tile keeps its row number at every level of a network: down-sampling halves the side of every
tile, so the grid of tiles never changes and only the side does. Gathering reads strided views, so
nothing but the active tiles is copied.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Rows sorted into groups of unequal size, padded to the largest by repeating a member.

    member: row at each place of each group. group_of, place_of: where each row went.
    """

    member: Int[Tensor, "groups most"]
    group_of: Int[Tensor, " n"]
    place_of: Int[Tensor, " n"]


def group_rows(keys: Int[Tensor, " n"]) -> tuple[Int[Tensor, " groups"], Groups]:
    """Group equal keys; returns the distinct keys and the grouping."""
    distinct, group_of, counts = torch.unique(keys, return_inverse=True, return_counts=True)
    order = torch.argsort(group_of, stable=True)
    starts = torch.cumsum(counts, 0) - counts
    place = torch.empty_like(group_of)
    place[order] = torch.arange(len(keys)) - starts[group_of[order]]
    most = int(counts.max())
    offsets = torch.arange(most)[None].minimum(counts[:, None] - 1)
    member = order[starts[:, None] + offsets]
    return distinct, Groups(member=member, group_of=group_of, place_of=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSet:
    """The active tiles of a step, row-major within ascending frames.

    grid: tiles along (height, width) of a frame. frame, row, column: of each tile.
    """

    grid: tuple[int, int]
    frame: Int[Tensor, " n"]
    row: Int[Tensor, " n"]
    column: Int[Tensor, " n"]
    by_frame: Groups
    frames: Int[Tensor, " f"]
    by_place: Groups
    places: Int[Tensor, " p"]

    @classmethod
    def from_mask(
        cls, active: Bool[Tensor, "T y x"], device: torch.device | None = None
    ) -> "TileSet":
        """Build the index lists once per request; raises ``ValueError`` when nothing is active."""
        frame, row, column = active.cpu().nonzero(as_tuple=True)
        if len(frame) == 0:
            raise ValueError("a tile set needs at least one active tile")
        frames, by_frame = group_rows(frame)
        places, by_place = group_rows(row * active.shape[2] + column)

        def moved(groups: Groups) -> Groups:
            return Groups(
                member=groups.member.to(device),
                group_of=groups.group_of.to(device),
                place_of=groups.place_of.to(device),
            )

        return cls(
            grid=(active.shape[1], active.shape[2]),
            frame=frame.to(device),
            row=row.to(device),
            column=column.to(device),
            by_frame=moved(by_frame),
            frames=frames.to(device),
            by_place=moved(by_place),
            places=places.to(device),
        )

    def __len__(self) -> int:
        return len(self.frame)

    def rows_of(self, branches: int, num_frames: int) -> Int[Tensor, " gn"]:
        """Row of ``[gT ...]`` that holds each tile, branches outermost."""
        offsets = torch.arange(branches, device=self.frame.device)[:, None] * num_frames
        return (offsets + self.frame).flatten()


def split(maps: Float[Tensor, "M C h w"], grid: tuple[int, int]) -> Float[Tensor, "M C y a x b"]:
    """View maps as a grid of tiles (no copy)."""
    return maps.unflatten(3, (grid[1], -1)).unflatten(2, (grid[0], -1))


def gather(
    maps: Float[Tensor, "gT C h w"], tiles: TileSet, num_frames: int
) -> Float[Tensor, "gn C a b"]:
    """Cut the active tiles out of maps of any level."""
    branches = maps.shape[0] // num_frames
    y, x = tiles.row.repeat(branches), tiles.column.repeat(branches)
    return split(maps, tiles.grid)[tiles.rows_of(branches, num_frames), :, y, :, x]


def scatter(
    maps: Float[Tensor, "gT C h w"],
    values: Float[Tensor, "gn C a b"],
    tiles: TileSet,
    num_frames: int,
) -> None:
    """Write tiles into maps, in place; the inverse of :func:`gather`."""
    branches = maps.shape[0] // num_frames
    y, x = tiles.row.repeat(branches), tiles.column.repeat(branches)
    split(maps, tiles.grid)[tiles.rows_of(branches, num_frames), :, y, :, x] = values


def gather_windows(
    canvas: Float[Tensor, "gT C hp wp"],
    tiles: TileSet,
    num_frames: int,
    side: tuple[int, int],
    halo: tuple[int, int],
) -> Float[Tensor, "gn C ah bw"]:
    """Cut tiles together with their halo from maps that already carry a border of that width."""
    branches = canvas.shape[0] // num_frames
    y, x = tiles.row.repeat(branches), tiles.column.repeat(branches)
    windows = canvas.unfold(2, side[0] + 2 * halo[0], side[0])
    windows = windows.unfold(3, side[1] + 2 * halo[1], side[1])
    return windows[tiles.rows_of(branches, num_frames), :, y, x]

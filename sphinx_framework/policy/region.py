"""From pixel masks to latent cells and tiles, by pooling: any marked pixel marks its cell."""

from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F


def pooled(mask: Bool[Tensor, "T H W"], factor: int) -> Bool[Tensor, "T h w"]:
    """Any marked pixel in the ``factor x factor`` cell (max-pool, last partial cell included)."""
    return F.max_pool2d(mask.float(), factor, ceil_mode=True) > 0.5


def dilated(cells: Bool[Tensor, "T h w"], radius: int) -> Bool[Tensor, "T h w"]:
    """Grow by ``radius`` cells in the maximum norm."""
    if radius == 0:
        return cells
    return F.max_pool2d(cells.float(), 2 * radius + 1, stride=1, padding=radius) > 0.5


def tiles_of(
    mask: Bool[Tensor, "T H W"], latent_factor: int, tile: int, dilation: int
) -> Bool[Tensor, "T y x"]:
    """Active tiles of ``tile x tile`` cells; ``dilation`` in cells gives seams room to blend."""
    return pooled(dilated(pooled(mask, latent_factor), dilation), tile)


def pixels_of(tiles: Bool[Tensor, "T y x"], side: int) -> Bool[Tensor, "T H W"]:
    """Pixels that the tiles cover; ``side`` is a tile's side in pixels."""
    return tiles.repeat_interleave(side, 1).repeat_interleave(side, 2)

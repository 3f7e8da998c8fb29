"""Morphology on masks with the border rules of the reference (``sphinx_reference`` section 4)."""

from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional


def dilated(mask: Bool[Tensor, "T H W"], window: int) -> Bool[Tensor, "T H W"]:
    """Mark every pixel with a marked pixel in its window; outside the image nothing is marked."""
    radius = window // 2
    along = functional.max_pool2d(mask[:, None].float(), (window, 1), 1, (radius, 0))
    return functional.max_pool2d(along, (1, window), 1, (0, radius))[:, 0] > 0


def eroded(mask: Bool[Tensor, "T H W"], window: int) -> Bool[Tensor, "T H W"]:
    """Keep pixels whose whole window is marked; outside the image counts as marked."""
    return ~dilated(~mask, window)


def closed(mask: Bool[Tensor, "T H W"], window: int) -> Bool[Tensor, "T H W"]:
    """Fill gaps narrower than the window: dilate, then erode."""
    return eroded(dilated(mask, window), window)


def opened(mask: Bool[Tensor, "T H W"], window: int) -> Bool[Tensor, "T H W"]:
    """Remove specks narrower than the window: erode, then dilate."""
    return dilated(eroded(mask, window), window)


def dense(mask: Bool[Tensor, "T H W"], window: int, count: int) -> Bool[Tensor, "T H W"]:
    """Mark pixels with at least ``count`` marked pixels in their window.

    Outside the image counts as unmarked, so marks at the border are removed sooner.
    """
    radius = window // 2
    along = functional.avg_pool2d(
        mask[:, None].float(), (window, 1), 1, (radius, 0), divisor_override=1
    )
    total = functional.avg_pool2d(along, (1, window), 1, (0, radius), divisor_override=1)
    return total[:, 0] >= count


def smoothed(
    mask: Bool[Tensor, "T H W"],
    close: int = 5,
    open_: int = 3,
    density_window: int = 9,
    density_count: int = 25,
) -> Bool[Tensor, "T H W"]:
    """Close, open, then density-filter; windows are odd, in pixels."""
    return dense(opened(closed(mask, close), open_), density_window, density_count)

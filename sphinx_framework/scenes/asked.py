"""What a caller asks of a scene besides its path, checked before anything is read."""

from operator import index

from sphinx_framework.errors import SceneError
from sphinx_framework.options import MAX_SIDE


def asked_size(size: object) -> tuple[int, int] | None:
    """``(height, width)`` of whole numbers, numpy's included; ``None`` keeps the scene's own.

    Raises:
        SceneError: it is no such pair, or a side is not 1 to :data:`MAX_SIDE` pixels long.
    """
    if size is None:
        return None
    try:
        height, width = size  # type: ignore[misc] - what cannot be taken apart is refused below
        sides = index(height), index(width)
    except (TypeError, ValueError):
        sides = None
    if sides is None or isinstance(height, bool) or isinstance(width, bool):
        raise SceneError(
            f"size must be (height, width) in whole pixels, got {size!r}.",
            hint="For example size=(192, 256).",
        )
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise SceneError(
            f"size must be (height, width) of 1 to {MAX_SIDE} pixels each, got {sides}.",
            hint="The models are made for some hundred pixels a side.",
        )
    return sides

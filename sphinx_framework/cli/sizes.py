"""Sizes of images as one types them: ``192`` is a square, ``192x256`` has its height first."""

import re

from sphinx_framework.errors import ConfigError
from sphinx_framework.options import MAX_SIDE

SIDES = re.compile(r"(?P<height>[1-9][0-9]{0,17})(x(?P<width>[1-9][0-9]{0,17}))?")


def read_size(text: str, option: str) -> tuple[int, int]:
    """(height, width) in pixels; raises :class:`ConfigError` that names the option."""
    found = SIDES.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"{option} {text}: not a size.",
            hint="Give pixels, as 192 or as HEIGHTxWIDTH: 192x256.",
        )
    height = int(found["height"])
    width = int(found["width"] or height)
    if max(height, width) > MAX_SIDE:
        raise ConfigError(
            f"{option} {text}: too large; a side has at most {MAX_SIDE} pixels.",
            hint="The models are made for some hundred pixels a side.",
        )
    return height, width

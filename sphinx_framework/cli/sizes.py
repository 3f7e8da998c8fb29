"""Sizes of images as one types them: ``192`` is a square, ``192x256`` has its height first."""

import re

from sphinx_framework.errors import ConfigError

SIDES = re.compile(r"(?P<height>[1-9][0-9]{0,5})(x(?P<width>[1-9][0-9]{0,5}))?")


def read_size(text: str, option: str) -> tuple[int, int]:
    """(height, width) in pixels; raises :class:`ConfigError` that names the option."""
    found = SIDES.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"{option} {text}: not a size.",
            hint="Give pixels, as 192 or as HEIGHTxWIDTH: 192x256.",
        )
    height = int(found["height"])
    return height, int(found["width"] or height)

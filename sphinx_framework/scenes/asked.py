"""What a caller asks of a scene besides its path, checked before anything is read."""

import inspect
import os
from collections.abc import Callable, Iterable
from operator import index
from pathlib import Path
from typing import Any, cast

from sphinx_framework.errors import ConfigError, SceneError, suggestion
from sphinx_framework.options import MAX_SIDE


def asked_size(size: object) -> tuple[int, int] | None:
    """``(height, width)`` of whole numbers, numpy's included; ``None`` keeps the scene's own.

    Raises:
        SceneError: it is no such pair, or a side is not 1 to :data:`MAX_SIDE` pixels long.
    """
    if size is None:
        return None
    try:
        given = tuple(cast(Iterable[Any], size))
        sides = [index(side) for side in given if not isinstance(side, bool)]
    except TypeError:
        given, sides = (), []
    if len(given) != 2 or len(sides) != 2:
        raise SceneError(
            f"size must be (height, width) in whole pixels, got {size!r}.",
            hint="For example size=(192, 256).",
        )
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise SceneError(
            f"size must be (height, width) of 1 to {MAX_SIDE} pixels each, got {tuple(sides)}.",
            hint="The models are made for some hundred pixels a side.",
        )
    return sides[0], sides[1]


def asked_path(path: object, what: str) -> str | Path:
    """A path as text or :class:`~pathlib.Path`; raises :class:`SceneError` for anything else."""
    if isinstance(path, str | Path):
        return path
    if isinstance(path, os.PathLike):
        return Path(cast("os.PathLike[str]", path))
    raise SceneError(f"{what} must be a path, as a text or pathlib.Path, got {path!r}.")


def asked_pixels(limit: object) -> int:
    """The pixels that a photo may have; raises :class:`SceneError` for what is no such number."""
    try:
        pixels = 0 if isinstance(limit, bool) else index(cast(int, limit))
    except TypeError:
        pixels = 0
    if pixels < 1:
        raise SceneError(f"max_pixels must be a whole number of at least 1, got {limit!r}.")
    return pixels


def check_names(**options: object) -> None:
    """Refuse an option that is chosen by a name and is not a text; ``None`` is not chosen."""
    for name, value in options.items():
        if value is not None and not isinstance(value, str):
            raise SceneError(f"{name} must be a text or None, got {value!r}.")


def check_options(reading: Callable[..., object], given: Iterable[str], own: Iterable[str]) -> None:
    """Refuse options that a function has not, by the words of the function that was called.

    own: arguments that the caller fills in itself.

    Raises:
        ConfigError: naming the first unknown option and those that there are.
    """
    known = [
        name
        for name, parameter in inspect.signature(reading).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in set(own)
    ]
    for name in given:
        if name not in known:
            near = suggestion(name, known)
            raise ConfigError(
                f"load_scene has no option {name!r}.", hint=f"{near}Known: {', '.join(known)}."
            )

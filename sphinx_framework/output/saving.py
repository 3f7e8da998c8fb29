"""What a render writes besides its fixed files: the names after ``--save`` (loads no torch)."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite, nan
from typing import SupportsFloat

from sphinx_framework.errors import ConfigError, suggestion

DEFAULT_FPS = 12.0
MIN_FPS, MAX_FPS = 0.1, 240.0
# Name -> what --help says about it.
SAVES = {
    "depth": "depth/: 16-bit PNG, scale in depth.json; float32 in depth.npz",
    "masks": "masks/: where each target was to be refined, white on black",
    "webp": "video.webp",
    "gif": "video.gif",
    "side-by-side": "side_by_side.mp4: regression, result and truth",
    "nerfstudio": "nerfstudio/: inputs and results, to train a 3DGS on",
    "colmap": "colmap/: the same as a COLMAP model, binary and text",
    "spz": "scene.spz: the Gaussians, about a sixth of scene.ply",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What to write besides the fixed files.

    names: of :data:`SAVES`, without repeats. fps: frames per second of every video.
    """

    names: tuple[str, ...] = ()
    fps: float = DEFAULT_FPS


def saving(names: str | Iterable[str] | None = None, fps: float | None = None) -> Saving:
    """Check names ("depth,masks", a list of them, or "all") and frames per second.

    Raises:
        ConfigError: an unknown name, one whose package is missing, or impossible frames per second.
    """
    given = _names(names)
    chosen = list(dict.fromkeys(name.strip() for name in given))
    everything = "all" in chosen
    if everything:
        chosen = [name for name in SAVES if name != "spz" or find_spec("gsply") is not None]
    for name in chosen:
        if name not in SAVES:
            hint = f"{suggestion(name, list(SAVES))}Choose from: {', '.join(SAVES)}, or all."
            raise ConfigError(f"save {name!r}: there is no such output.", hint=hint)
        if name == "spz" and find_spec("gsply") is None:
            raise ConfigError(
                "save 'spz': the package gsply is not installed.",
                hint="Run: pip install 'sphinx-framework[spz]'. scene.ply is written without it.",
            )
    return Saving(names=tuple(chosen), fps=DEFAULT_FPS if fps is None else _speed(fps))


def _names(names: object) -> list[str]:
    if names is None:
        return []
    if isinstance(names, str):
        return names.split(",")
    given = list(names) if isinstance(names, Iterable) else [names]
    texts = [name for name in given if isinstance(name, str)]
    if not isinstance(names, Iterable) or len(texts) < len(given):
        raise ConfigError(
            f"save must be names of outputs, as a text or a list of texts, got {names!r}.",
            hint=f"Choose from: {', '.join(SAVES)}, or all.",
        )
    return texts


def _speed(fps: object) -> float:
    """Any number counts, numpy's included; ``True`` and texts are none."""
    speed = nan
    if isinstance(fps, SupportsFloat) and not isinstance(fps, bool):
        with suppress(TypeError, ValueError, RuntimeError, OverflowError):
            speed = float(fps)
    if not isfinite(speed) or not MIN_FPS <= speed <= MAX_FPS:
        raise ConfigError(f"fps must be a number from {MIN_FPS:g} to {MAX_FPS:g}, got {fps!r}.")
    return speed

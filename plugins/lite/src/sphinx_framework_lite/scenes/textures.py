"""Procedural textures: every pattern is drawn from a seed, so no picture's licence comes along.

A texture is ``[SIZE, SIZE, 3]`` float32 in [0, 1] and wraps around (posters excepted). Its mip
pyramid is stored flat, level after level, as the ray caster reads it.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Generator = np.random.Generator

SIZE = 128
LEVELS = 8
PYRAMID_TEXELS = sum((SIZE >> level) ** 2 for level in range(LEVELS))


def _noise(rng: Generator, slope: float, stretch: tuple[float, float] = (1.0, 1.0)) -> Array:
    """Tileable 1/f**slope noise in [0, 1] (spectral synthesis)."""
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE * stretch[0]
    fx = np.fft.rfftfreq(SIZE)[None, :] * SIZE * stretch[1]
    radius = np.sqrt(fx * fx + fy * fy)
    radius[0, 0] = 1.0
    phase = rng.uniform(0, 2 * np.pi, radius.shape)
    spectrum = np.exp(1j * phase) / radius**slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    low, high = np.percentile(field, (1, 99))
    return np.clip((field - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)


def _palette(rng: Generator, spread: float = 0.45) -> Array:
    """Three colours around one base hue, ``[3, 3]``."""
    base = rng.uniform(0.12, 0.88, 3)
    colours = base + rng.normal(0, spread, (3, 3)) * 0.6
    grey = colours.mean(axis=1, keepdims=True)
    saturation = rng.uniform(0.15, 0.9)
    return np.clip(grey + saturation * (colours - grey), 0.03, 0.97).astype(np.float32)


def _ramp(values: Array, colours: Array) -> Array:
    """Map [0, 1] through three colours."""
    low = np.clip(values * 2, 0, 1)[..., None]
    high = np.clip(values * 2 - 1, 0, 1)[..., None]
    mixed = colours[0] * (1 - low) + colours[1] * low
    return (mixed * (1 - high) + colours[2] * high).astype(np.float32)


def _grid() -> tuple[Array, Array]:
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y.astype(np.float32), x.astype(np.float32)


def _clouds(rng: Generator) -> Array:
    return _ramp(_noise(rng, rng.uniform(1.0, 2.2)), _palette(rng))


def _plain(rng: Generator) -> Array:
    """Nearly flat paint: regression has little to match here."""
    field = _noise(rng, rng.uniform(0.8, 2.0))[..., None] - 0.5
    return np.clip(_palette(rng)[0] + field * rng.uniform(0.05, 0.2), 0, 1).astype(np.float32)


def _bricks(rng: Generator) -> Array:
    y, x = _grid()
    rows = 2 * int(rng.integers(2, 6))
    columns = int(rng.integers(2, 6))
    row = np.floor(y * rows)
    shifted = x * columns + 0.5 * (row % 2) * float(rng.random() < 0.8)
    cell = (row * 31 + np.floor(shifted % columns) * 17).astype(np.int64) % 97
    tint = rng.uniform(-0.16, 0.16, 97)[cell][..., None]
    gap = rng.uniform(0.04, 0.12)
    mortar = ((y * rows) % 1 < gap * 1.4) | (shifted % 1 < gap)
    colours = _palette(rng, 0.3)
    grain = (_noise(rng, rng.uniform(0.5, 1.5))[..., None] - 0.5) * 0.25
    body = np.where(mortar[..., None], colours[1], colours[0] + tint)
    return np.clip(body + grain, 0, 1).astype(np.float32)


def _checker(rng: Generator) -> Array:
    y, x = _grid()
    count = 2 * int(rng.integers(1, 5))
    parity = (np.floor(y * count) + np.floor(x * count)) % 2
    grain = (_noise(rng, 1.0)[..., None] - 0.5) * rng.uniform(0.05, 0.3)
    colours = _palette(rng)
    return np.clip(np.where(parity[..., None] > 0, colours[0], colours[1]) + grain, 0, 1).astype(
        np.float32
    )


def _wood(rng: Generator) -> Array:
    y, x = _grid()
    warp = _noise(rng, 2.0, (1.0, 6.0)) * rng.uniform(1.5, 5.0)
    planks = int(rng.integers(1, 5))
    offset = rng.uniform(0, 6, planks)[np.floor(x * planks).astype(np.int64)]
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (warp + x * int(rng.integers(1, 4)) + offset))
    colours = np.sort(rng.uniform(0.1, 0.85, (3, 3)), axis=0)[:, ::-1].astype(np.float32)
    seam = ((x * planks) % 1 < 0.03)[..., None]
    grain = (_noise(rng, 0.6, (1.0, 12.0))[..., None] - 0.5) * 0.15
    wood = _ramp(rings.astype(np.float32), colours[::-1]) * np.where(seam, 0.45, 1.0)
    return np.clip(wood + grain + y[..., None] * 0, 0, 1).astype(np.float32)


def _stones(rng: Generator) -> Array:
    """Voronoi cells with dark joints."""
    y, x = _grid()
    count = int(rng.integers(8, 48))
    points = rng.random((count, 2)).astype(np.float32)
    dy = np.abs(y[..., None] - points[:, 0])
    dx = np.abs(x[..., None] - points[:, 1])
    distance = np.hypot(np.minimum(dy, 1 - dy), np.minimum(dx, 1 - dx))
    order = np.argsort(distance, axis=-1)[..., :2]
    nearest = np.take_along_axis(distance, order, axis=-1)
    edge = np.clip((nearest[..., 1] - nearest[..., 0]) * rng.uniform(12, 40), 0, 1)[..., None]
    shade = _ramp(rng.random(count).astype(np.float32), _palette(rng))[order[..., 0]]
    grain = (_noise(rng, 1.2)[..., None] - 0.5) * 0.2
    return np.clip((shade + grain) * (0.25 + 0.75 * edge), 0, 1).astype(np.float32)


def _stripes(rng: Generator) -> Array:
    y, x = _grid()
    a, b = int(rng.integers(0, 8)), int(rng.integers(1, 8))
    wave = np.sin(2 * np.pi * (a * y + b * x) + rng.uniform(0, 6))
    sharp = rng.uniform(1, 12)
    field = 0.5 + 0.5 * np.tanh(sharp * wave)
    grain = (_noise(rng, 1.0) - 0.5) * rng.uniform(0.0, 0.3)
    return _ramp(np.clip(field + grain, 0, 1).astype(np.float32), _palette(rng))


def _dots(rng: Generator) -> Array:
    y, x = _grid()
    count = int(rng.integers(2, 7))
    shift = 0.5 * (np.floor(y * count) % 2) * float(rng.random() < 0.5 and count % 2 == 0)
    radius = np.hypot((y * count) % 1 - 0.5, (x * count + shift) % 1 - 0.5)
    inside = np.clip((rng.uniform(0.2, 0.42) - radius) * 12 + 0.5, 0, 1)[..., None]
    colours = _palette(rng)
    grain = (_noise(rng, 1.4)[..., None] - 0.5) * 0.2
    return np.clip(colours[0] * (1 - inside) + colours[2] * inside + grain, 0, 1).astype(np.float32)


def _marble(rng: Generator) -> Array:
    y, x = _grid()
    warp = _noise(rng, 1.9) * rng.uniform(1.0, 3.0)
    veins = np.abs(np.sin(np.pi * (x * int(rng.integers(1, 4)) + y + warp * 2)))
    return _ramp((veins ** rng.uniform(0.3, 1.2)).astype(np.float32), _palette(rng))


def _grass(rng: Generator) -> Array:
    fine = _noise(rng, rng.uniform(0.1, 0.6), (1.0, rng.uniform(1.0, 3.0)))
    broad = _noise(rng, 1.8)
    colours = np.array([[0.1, 0.2, 0.06], [0.3, 0.45, 0.15], [0.65, 0.68, 0.35]], np.float32)
    tint = rng.uniform(0.7, 1.3, 3).astype(np.float32)
    return np.clip(_ramp(0.55 * fine + 0.45 * broad, colours) * tint, 0, 1)


def _plaid(rng: Generator) -> Array:
    y, x = _grid()
    steps = rng.random((2, 16)).astype(np.float32)
    count = int(rng.integers(6, 17))
    rows = steps[0, np.floor(y * count).astype(np.int64) % 16]
    columns = steps[1, np.floor(x * count).astype(np.int64) % 16]
    weave = (_noise(rng, 0.2) - 0.5) * 0.15
    return _ramp(np.clip(0.5 * (rows + columns) + weave, 0, 1).astype(np.float32), _palette(rng))


def _poster(rng: Generator) -> Array:
    """Random discs, rectangles and lines of 'text' on a gradient."""
    y, x = _grid()
    angle = rng.uniform(0, 2 * np.pi)
    gradient = 0.5 + 0.5 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    image = _ramp(gradient.astype(np.float32), _palette(rng))
    for _ in range(int(rng.integers(4, 14))):
        cy, cx = rng.random(2)
        ry, rx = rng.uniform(0.03, 0.3, 2)
        kind = rng.random()
        if kind < 0.45:
            inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        elif kind < 0.8:
            inside = (np.abs(y - cy) < ry) & (np.abs(x - cx) < rx)
        else:
            words = rng.random(SIZE)[None, :] < 0.7
            lines = (y * rng.uniform(14, 30)) % 1 < 0.5
            inside = (np.abs(y - cy) < ry) & (np.abs(x - cx) < rx) & words & lines
        image = np.where(inside[..., None], rng.random(3).astype(np.float32), image)
    return image.astype(np.float32)


def _sky(rng: Generator) -> Array:
    clouds = np.clip((_noise(rng, rng.uniform(1.4, 2.2)) - 0.35) * rng.uniform(0.8, 1.8), 0, 1)
    blue = np.array([0.35, 0.55, 0.85], np.float32) * rng.uniform(0.75, 1.2)
    blue = np.clip(blue + rng.normal(0, 0.08, 3), 0, 1).astype(np.float32)
    return np.clip(blue + (0.97 - blue) * clouds[..., None], 0, 1).astype(np.float32)


PATTERNS: tuple[Callable[[Generator], Array], ...] = (
    _clouds,
    _plain,
    _bricks,
    _checker,
    _wood,
    _stones,
    _stripes,
    _dots,
    _marble,
    _grass,
    _plaid,
    _poster,
)


def pyramid(image: Array) -> Array:
    """Box-filtered mip levels of a ``[SIZE, SIZE, 3]`` image, flat ``[PYRAMID_TEXELS, 3]``."""
    levels = [image]
    while levels[-1].shape[0] > 1:
        half = levels[-1].shape[0] // 2
        levels.append(levels[-1].reshape(half, 2, half, 2, 3).mean(axis=(1, 3)))
    return np.concatenate([level.reshape(-1, 3) for level in levels]).astype(np.float32)


@lru_cache(maxsize=1024)
def texture(family: int, index: int, kind: str) -> Array:
    """Flat mip pyramid of texture ``index`` of a family (one family of seeds per split).

    kind: ``"sky"``, ``"poster"`` or ``"surface"`` (any pattern).
    """
    rng = np.random.default_rng([family, index, {"surface": 0, "sky": 1, "poster": 2}[kind]])
    if kind == "sky":
        image = _sky(rng)
    elif kind == "poster":
        image = _poster(rng)
    else:
        image = PATTERNS[int(rng.integers(len(PATTERNS)))](rng)
    flat = pyramid(image)
    flat.setflags(write=False)
    return flat

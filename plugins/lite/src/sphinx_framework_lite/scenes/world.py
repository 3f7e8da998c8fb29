"""A world of textured primitives, and how to render it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sphinx_framework_lite.scenes.textures import texture

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Images = npt.NDArray[np.float32]

FACES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One light; ``position`` is a direction towards it when ``directional``."""

    position: Floats
    ambient: float
    strength: float
    directional: bool
    shadows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """A box, sphere, cylinder (along its z), room, sky sphere or ground plane (its y = 0).

    axes: rows are the local axes in world coordinates. half: half sizes (sphere: radius in
    ``half[0]``; cylinder: radius in ``half[0]``, half length in ``half[2]``).
    textures: ``(kind, index)`` per face, see :func:`textures.texture`. repeats: texture repeats
    per scene unit, per face.
    """

    kind: int
    centre: Floats
    axes: Floats
    half: Floats
    textures: tuple[tuple[str, int], ...]
    repeats: Floats
    offset: Floats
    specular: float


class World:
    """Primitives and a light, laid out as the ray caster reads them."""

    def __init__(self, primitives: list[Primitive], light: Light, family: int) -> None:
        self.primitives = primitives
        self.light = light
        self.family = family
        self._geometry = (
            np.array([p.kind for p in primitives], np.int64),
            np.stack([p.centre for p in primitives]).astype(np.float64),
            np.stack([p.axes for p in primitives]).astype(np.float64),
            np.stack([p.half for p in primitives]).astype(np.float64),
        )

    def _material(self) -> tuple[Any, ...]:
        wanted = sorted({name for p in self.primitives for name in p.textures})
        place = {name: i for i, name in enumerate(wanted)}
        atlas = np.stack([texture(self.family, index, kind) for kind, index in wanted])
        faces = [
            [place[p.textures[min(face, len(p.textures) - 1)]] for face in range(FACES)]
            for p in self.primitives
        ]
        return (
            np.array(faces, np.int64),
            atlas,
            np.stack([p.repeats for p in self.primitives]).astype(np.float64),
            np.stack([p.offset for p in self.primitives]).astype(np.float64),
            np.array([p.specular for p in self.primitives], np.float64),
        )

    def images(
        self, poses: Floats, intrinsics: Floats, size: tuple[int, int], samples: int = 2
    ) -> Images:
        """Render ``[V, H, W, 3]`` images in [0, 1] with ``samples**2`` rays a pixel.

        Views are rendered side by side, in as many threads as torch may use.
        """
        from sphinx_framework_lite.scenes.raycast import cast_colour

        light = self.light
        lamp = (
            light.position.astype(np.float64),
            light.ambient,
            light.strength,
            light.directional,
            light.shadows,
        )
        material = self._material()

        def view(index: int) -> Images:
            one = slice(index, index + 1)
            rendered: Images = cast_colour(
                self._geometry, material, lamp, poses[one], intrinsics[one], *size, samples
            )
            return rendered

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            return np.concatenate(list(threads.map(view, range(len(poses)))))

    def depth(self, poses: Floats, intrinsics: Floats, size: tuple[int, int]) -> Images:
        """Exact camera-z ``[V, H, W]`` through the pixel centres."""
        from sphinx_framework_lite.scenes.raycast import cast_depth

        rendered: Images = cast_depth(self._geometry, poses, intrinsics, size[0], size[1])
        return rendered

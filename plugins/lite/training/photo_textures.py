"""Procedural scenes that wear photographs: crops of them in place of the drawn textures."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sphinx_framework_lite.scenes import world
from sphinx_framework_lite.scenes.textures import SIZE, pyramid, texture
from sphinx_framework_lite.scenes.world import World

LARGEST = 1600
# The share of surfaces that keep their drawn texture.
KEPT = 0.15


class PhotoTextures:
    """Stands in for ``textures.texture`` while scenes are rendered."""

    def __init__(self, folder: Path) -> None:
        self.photos = []
        self.seed = 0
        for path in sorted(folder.iterdir()):
            photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if photo is None:
                continue
            scale = min(1.0, LARGEST / max(photo.shape[:2]))
            photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            self.photos.append(np.ascontiguousarray(photo[..., ::-1]))
        if not self.photos:
            raise SystemExit(f"{folder}: no readable photos")

    def dress(self, _: World | None, seed: int) -> None:
        """Let the next render (of the scene of this seed) take its textures from here."""
        self.seed = seed
        world.texture = self  # type: ignore[assignment]

    def __call__(self, family: int, index: int, kind: str) -> npt.NDArray[np.float32]:
        """A crop as a mip pyramid, half of them mirrored so that they wrap around."""
        random = np.random.default_rng([self.seed, index, len(kind)])
        if random.random() < KEPT:
            return texture(family, index, kind)
        photo = self.photos[int(random.integers(len(self.photos)))]
        height, width = photo.shape[:2]
        side = int(min(height, width) * np.exp(random.uniform(np.log(0.12), 0)))
        left = int(random.integers(width - side + 1))
        top = int(random.integers(height - side + 1))
        fold = random.random() < 0.5
        part = photo[top : top + side, left : left + side]
        size = SIZE // 2 if fold else SIZE
        image = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
        if fold:
            image = np.concatenate([image, image[:, ::-1]], axis=1)
            image = np.concatenate([image, image[::-1]], axis=0)
        return pyramid(image / 255)

"""What a scene looks like before a job: its cameras, its path, small pictures of its inputs."""

import asyncio
import io
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sphinx_framework.scenes.images import to_uint8
from sphinx_framework.scenes.load import installed_readers
from sphinx_framework.serve.orders import scene_path
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.scene_files import camera_list
from sphinx_framework.serve.scenes import Scenes
from sphinx_framework.types import Scene

SAMPLES = ("procedural:demo", "procedural:report/0", "procedural:report/12")
ANY_PATH = "orbit:1"
THUMBNAIL = 320
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class SceneView:
    """A scene with its targets as JSON, and its inputs as small PNGs."""

    cameras: bytes
    thumbnails: tuple[bytes, ...]


class SceneViews:
    """Opens scenes for the page, one at a time, and remembers the last ones."""

    def __init__(self, scenes: Scenes) -> None:
        """Take the scenes of a server."""
        self.scenes = scenes
        self._views: OrderedDict[tuple[str, str | None], SceneView] = OrderedDict()
        self._one = asyncio.Lock()

    def samples(self) -> list[str]:
        """Generated scenes that some installed plugin reads."""
        readers = installed_readers(self.scenes.registry)
        return [name for name in SAMPLES if any(r.can_read(Path(name)) for r in readers)]

    async def view(self, identity: str, targets: str | None) -> SceneView:
        """A scene's view; raises :class:`Problem` 422."""
        async with self._one:
            with self.scenes.pin(identity):
                return await self._remembered((identity, targets))

    async def _remembered(self, key: tuple[str, str | None]) -> SceneView:
        if key not in self._views:
            self._views[key] = await asyncio.to_thread(self._opened, *key)
            while len(self._views) > _REMEMBERED:
                self._views.popitem(last=False)
        self._views.move_to_end(key)
        return self._views[key]

    def _opened(self, identity: str, targets: str | None) -> SceneView:
        path = scene_path(identity, self.scenes.data)
        try:
            scene, own = self.scenes.load(path, {"targets": targets}), True
        except Problem:
            if targets is not None:
                raise
            # A scene that names no targets still has cameras to show.
            scene, own = self.scenes.load(path, {"targets": ANY_PATH}), False
        return SceneView(_document(identity, scene, own), _thumbnails(scene))


def _document(identity: str, scene: Scene, with_targets: bool) -> bytes:
    height, width = scene.inputs.image_size
    shown: dict[str, Any] = {
        "id": identity,
        "object": "scene",
        "convention": "opencv_c2w",
        "height": height,
        "width": width,
        "near": scene.near,
        "far": scene.far,
        "inputs": camera_list(scene, scene.inputs),
        "targets": camera_list(scene, scene.targets) if with_targets else [],
        "warnings": list(scene.warnings),
    }
    return json.dumps(shown).encode()


def _thumbnails(scene: Scene) -> tuple[bytes, ...]:
    return tuple(_png(image) for image in to_uint8(scene.images).permute(0, 2, 3, 1).numpy())


def _png(pixels: Any) -> bytes:
    picture, out = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    picture.save(out, "PNG")
    return out.getvalue()

"""What a worker keeps between jobs: the engine, and scenes it has loaded before."""

import hashlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.config import config_from_dict
from sphinx_framework.engine.engine import Engine
from sphinx_framework.registry import Registry
from sphinx_framework.serve.scene_files import open_scene
from sphinx_framework.types import Scene


class Workbench:
    """One engine and a bounded cache of scenes."""

    def __init__(self, engine: Engine, registry: Registry, cache_bytes: int) -> None:
        """Take a built engine."""
        self.engine, self.registry = engine, registry
        self.cache_bytes = cache_bytes
        self.used_bytes = 0
        self._scenes: OrderedDict[str, Scene] = OrderedDict()

    @classmethod
    def open(cls, setup: dict[str, Any]) -> "Workbench":
        """Build the engine of a server's setup; threads are set before any other torch work."""
        torch.set_num_threads(setup["threads"])
        config = config_from_dict(setup["config"])
        engine_table = config.engine.model_copy(update={"threads": setup["threads"]})
        config = config.model_copy(update={"engine": engine_table})
        registry = Registry.from_entry_points()
        engine = Engine.from_config(
            config,
            device=setup["device"],
            registry=registry,
            licence_policy=setup["licence_policy"],
        )
        return cls(engine, registry, int(setup["cache_mb"] * 1e6))

    def facts(self) -> dict[str, Any]:
        """What the server must know to check requests without a model."""
        model = self.engine.components.diffusion
        return {
            "side": model.latent_factor * model.tile,
            "device": str(self.engine.device),
            "threads": torch.get_num_threads(),
        }

    def scene(self, order: dict[str, Any]) -> tuple[Scene, bool]:
        """A job's scene, fitted and with its targets, and whether it was at hand."""
        cameras = order["target_cameras"]
        given = b"" if cameras is None else Path(cameras).read_bytes()
        key = repr(
            (
                order["scene"]["id"],
                order["targets"],
                hashlib.sha256(given).hexdigest(),
                order["split"],
                order["convention"],
            )
        )
        if key in self._scenes:
            self._scenes.move_to_end(key)
            return replace(self._scenes[key], name=order["scene"]["name"]), True
        scene = open_scene(
            order["scene"]["path"],
            self.registry,
            self.engine.config,
            targets=cameras or order["targets"],
            split=order["split"],
            convention=order["convention"],
        )
        self._keep(key, scene)
        return replace(scene, name=order["scene"]["name"]), False

    def _keep(self, key: str, scene: Scene) -> None:
        size = scene_bytes(scene)
        if size > self.cache_bytes:
            return
        self._scenes[key] = scene
        self.used_bytes += size
        while self.used_bytes > self.cache_bytes:
            _, oldest = self._scenes.popitem(last=False)
            self.used_bytes -= scene_bytes(oldest)


def scene_bytes(scene: Scene) -> int:
    """Memory of a scene's images; its cameras are small beside them."""
    images = [scene.images, *([] if scene.target_images is None else [scene.target_images])]
    return sum(image.element_size() * image.nelement() for image in images)

"""What a worker keeps between jobs: the engine, and what it knows of scenes."""

import dataclasses
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.config import config_from_dict
from sphinx_framework.engine.engine import Engine
from sphinx_framework.protocols import PoseEstimator
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.unposed import photo_files
from sphinx_framework.serve.scene_files import open_scene
from sphinx_framework.serve.unposed import build_estimator
from sphinx_framework.types import CoarseViews, QualityReport, Scene


@dataclass(slots=True)
class Known:
    """A scene with its targets, and what the regression stage and the scores said of it."""

    key: str
    scene: Scene
    estimated: bool = False  # its cameras: the photos came alone
    coarse: CoarseViews | None = None
    report: QualityReport | None = None


class Workbench:
    """One engine and a bounded cache of what is known of scenes, the least used go first."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        cache_bytes: int,
        estimator: PoseEstimator | None = None,
    ) -> None:
        """Take a built engine, and what gives cameras to photos that have none."""
        self.engine, self.registry, self.estimator = engine, registry, estimator
        self.cache_bytes = cache_bytes
        self.used_bytes = 0
        self._known: OrderedDict[str, tuple[Known, int]] = OrderedDict()

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
        estimator = build_estimator(config, registry, engine.device)
        return cls(engine, registry, int(setup["cache_mb"] * 1e6), estimator)

    def facts(self) -> dict[str, Any]:
        """What the server must know to check requests without a model."""
        model = self.engine.components.diffusion
        return {
            "side": model.latent_factor * model.tile,
            "device": str(self.engine.device),
            "threads": torch.get_num_threads(),
        }

    def known(self, order: dict[str, Any]) -> tuple[Known, bool]:
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
        name = order["scene"]["name"]
        if key in self._known:
            self._known.move_to_end(key)
            found = self._known[key][0]
            return replace(found, scene=replace(found.scene, name=name)), True
        scene = open_scene(
            order["scene"]["path"],
            self.registry,
            self.engine.config,
            self.estimator,
            targets=cameras or order["targets"],
            split=order["split"],
            convention=order["convention"],
        )
        alone = self.estimator is not None and bool(photo_files(Path(order["scene"]["path"])))
        known = Known(key, replace(scene, name=name), estimated=alone)
        self.keep(known)
        return known, False

    def keep(self, known: Known) -> None:
        """Remember what is known by now; what alone exceeds the bound is not kept."""
        _, before = self._known.pop(known.key, (None, 0))
        self.used_bytes -= before
        size = tensor_bytes(known, set())
        if size > self.cache_bytes:
            return
        self._known[known.key] = known, size
        self.used_bytes += size
        while self.used_bytes > self.cache_bytes:
            _, (_, oldest) = self._known.popitem(last=False)
            self.used_bytes -= oldest


def tensor_bytes(value: Any, seen: set[int]) -> int:
    """Memory of all tensors below a value of dataclasses, tuples and dicts, each counted once."""
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        if storage.data_ptr() in seen:
            return 0
        seen.add(storage.data_ptr())
        return int(storage.nbytes())
    if dataclasses.is_dataclass(value):
        parts: Any = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, tuple | list):
        parts = value
    else:
        return 0
    return sum(tensor_bytes(part, seen) for part in parts)

"""Reads ``procedural:...`` paths: the built-in scenes as if they were a scene format."""

import re
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import Scene
from sphinx_framework_lite.config import ProceduralConfig
from sphinx_framework_lite.scenes.generate import SPLITS, make_scene

PATTERN = re.compile(r"^procedural:(?:(?P<split>[a-z]+)/?)?(?P<seed>\d+)?$")
DEMO_SEED = 14


class ProceduralReader:
    """``procedural:7``, ``procedural:demo``, ``procedural:report/12``."""

    def __init__(
        self, config: ProceduralConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self._config = config
        self._device = device

    def can_read(self, path: Path) -> bool:
        return str(path).startswith("procedural:")

    def read(self, path: Path, **options: Any) -> Scene:
        """Generate the scene; options override those of the config (size, targets, baseline).

        Raises:
            SceneError: if the path names no split or seed, or an option is unknown.
        """
        found = PATTERN.match(str(path))
        split = (found["split"] or "demo") if found else ""
        if found is None or split not in SPLITS:
            raise SceneError(
                f"{str(path)!r} names no built-in scene.",
                hint="Write procedural:demo, procedural:7 or procedural:report/12.",
            )
        config = self._config
        size = options.pop("size", None) or (config.height, config.width)
        targets = options.pop("targets", None) or config.targets
        baseline = options.pop("baseline", config.baseline)
        if options:
            raise SceneError(f"built-in scenes have no option {sorted(options)[0]!r}.")
        seed = int(found["seed"]) if found["seed"] else DEMO_SEED
        scene = make_scene(seed, split=split, size=size, targets=targets, baseline=baseline)
        return scene.to(self._device)

"""Where the scenes of a batch go, and what a finished one was asked, so that it can be skipped."""

import argparse
import json
import os
from hashlib import sha256
from pathlib import Path

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import ConfigError
from sphinx_framework.output.saving import Saving
from sphinx_framework.scenes.fingerprint import fingerprint
from sphinx_framework.version import __version__

REQUEST = "request.json"
LONGEST_NAME = 80
_ASKED = ("quality", "mode", "seed", "targets", "split", "reader", "convention", "near", "far")


def out_folders(names: list[str], root: Path) -> dict[str, Path]:
    """A folder for every scene: the last part of its name, with a digest where two are the same.

    Raises:
        ConfigError: a scene is named twice.
    """
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"scene {doubled} is named twice.", hint="Name every scene once.")
    stems = [_stem(name) for name in names]
    lowered = [stem.lower() for stem in stems]
    return {
        name: root
        / (stem if lowered.count(stem.lower()) == 1 else f"{stem}-{_digest(name.encode())[:8]}")
        for name, stem in zip(names, stems, strict=True)
    }


def _stem(name: str) -> str:
    last = Path(name).name if os.path.exists(os.path.expanduser(name)) else name
    readable = "".join(c if c.isalnum() or c in "-_." else "_" for c in last).strip(".")
    cut = readable.encode()[:LONGEST_NAME].decode(errors="ignore")
    return cut if cut == readable and cut else f"{cut or 'scene'}-{_digest(name.encode())[:8]}"


def request_of(arguments: argparse.Namespace, config: PipelineConfig, chosen: Saving) -> str:
    """Everything that a scene's result depends on; a finished one with the same is skipped."""
    asked = {key: getattr(arguments, key) for key in _ASKED}
    content = {
        "schema": "sphinx-framework/request/1",
        "version": __version__,
        "scene": _fingerprint(arguments.scene),
        "targets_file": _fingerprint(arguments.targets) if arguments.targets else None,
        "asked": asked,
        "save": list(chosen.names),
        "fps": chosen.fps,
        "config": config.model_dump(mode="json"),
    }
    return json.dumps(content, indent=1, sort_keys=True, default=str) + "\n"


def _fingerprint(name: str) -> str:
    """A scene's place and files; of what is not on disk, its name."""
    content = fingerprint(name)
    return f"{Path(name).expanduser().resolve()} {content}" if content else name


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()

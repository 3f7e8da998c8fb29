"""What a worker is told to do: an order made from a stored job."""

import hashlib
import json
from pathlib import Path
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.store import Row

CAMERAS = "target_cameras.json"
SHA = "sha256:"


def order_of(row: Row, data: DataDirectory, room_seconds: float | None = None) -> dict[str, Any]:
    """The order for a stage of the attempt that runs.

    room_seconds: what the job may take; its quality is lowered to fit. ``None``: it is fixed.
    """
    request, served = row["request"], row["served"]
    folder = data.job(row["id"])
    cameras = folder / CAMERAS
    return {
        "job": row["id"],
        "attempt": row["attempt"],
        "folder": str(folder),
        "scene": {
            "id": row["scene_id"],
            "path": scene_path(row["scene_id"], data),
            "name": row["scene"]["name"],
        },
        "targets": request["targets"],
        "target_cameras": str(cameras) if request["target_cameras"] is not None else None,
        "split": request["split"],
        "convention": request["convention"],
        "seed": request["seed"],
        "budget_ms": request["budget_ms"],
        "quality": served["quality"],
        "mode": served["mode"],
        "degraded": served["degraded"],
        "room_seconds": room_seconds,
    }


def pipeline_digest(config: PipelineConfig) -> str:
    """Of everything that decides what a stored job's frames are, and is not stored with it."""
    decided = config.model_dump(mode="json", exclude={"name", "mode", "quality"})
    return digest(decided)


def digest(value: Any) -> str:
    """Of anything that is JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def scene_path(scene_id: str, data: DataDirectory) -> str:
    """Where ``load_scene`` finds a scene: its folder, or the name of a generated one."""
    if scene_id.startswith(SHA):
        return str(scene_folder(scene_id, data))
    return scene_id


def scene_folder(scene_id: str, data: DataDirectory) -> Path:
    """The folder of an uploaded scene."""
    return data.scenes / scene_id.removeprefix(SHA)

"""What a measurement depends on, recorded beside it, so that a resumed study mixes nothing.

Settings are plain JSON values. A recorded file whose settings differ from today's is refused with
the first difference named; it is neither reused nor silently measured again.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from torch import nn

from sphinx_framework.engine.components import Components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.study.evaluate.component_code import code_digest
from sphinx_framework.study.evaluate.named_files import named_files

Settings = dict[str, Any]
SAMPLED_VALUES = 64


def engine_settings(engine: Engine, leave_out: tuple[str, ...] = ()) -> Settings:
    """Everything of an engine that decides about its images and their scores.

    leave_out: roles that play no part in the measurement.
    """
    config = engine.config
    pipeline = {
        role: component.model_dump(mode="json")
        for role, component in config.pipeline.items()
        if role not in leave_out
    }
    return {
        "num_steps": config.num_steps,
        "gamma": config.gamma,
        "size": None if config.size is None else list(config.size),
        "fit": config.fit,
        "plan": config.plan.model_dump(mode="json"),
        "composite": config.composite.model_dump(mode="json"),
        "evidence": config.evidence.model_dump(mode="json"),
        "pipeline": pipeline,
        "files": named_files(pipeline),
        "plugins": sorted(
            {
                str(entry["distribution"])
                for entry in engine.components.licences
                if entry["role"] not in leave_out
            }
        ),
        "code": code_digest(
            getattr(engine.components, role)
            for role in config.pipeline
            if role not in leave_out and hasattr(engine.components, role)
        ),
        "weights": weights_digest(engine.components, leave_out),
    }


def with_files(settings: Settings, files: str) -> Settings:
    """The same with the fingerprint of the scene that is measured: photos may change, too."""
    return {**settings, "scene_files": files}


def weights_digest(components: Components, leave_out: tuple[str, ...] = ()) -> str:
    """Short digest of a few values of every weight: new weights of one file name are noticed.

    Networks held as attributes of a component are seen, or of what those attributes are.
    """
    digest = hashlib.sha256()
    for entry in fields(components):
        if entry.name in leave_out:
            continue
        for module in _modules(getattr(components, entry.name), depth=2):
            for name, values in module.state_dict().items():
                flat = values.detach().reshape(-1)
                spread = torch.linspace(0, max(0, len(flat) - 1), min(len(flat), SAMPLED_VALUES))
                picked = flat[spread.long().to(flat.device)].double().cpu()
                digest.update(f"{name}{tuple(values.shape)}".encode() + picked.numpy().tobytes())
    return digest.hexdigest()[:16]


def _modules(holder: Any, depth: int) -> Iterator[nn.Module]:
    if isinstance(holder, nn.Module):
        yield holder
    elif depth > 0 and hasattr(holder, "__dict__"):
        for name in sorted(vars(holder)):
            yield from _modules(vars(holder)[name], depth - 1)


def first_difference(recorded: Any, now: Any, path: str = "") -> str | None:
    """``plan.stride: 1 then, 5 now`` for the first leaf that differs, or ``None``."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in sorted({*recorded, *now}):
            inner = f"{path}.{key}" if path else str(key)
            found = first_difference(recorded.get(key), now.get(key), inner)
            if found is not None:
                return found
        return None
    return None if recorded == now else f"{path}: {recorded!r} then, {now!r} now"


def refuse_other_settings(recorded: Settings, now: Settings, where: str) -> None:
    """Raise :class:`ConfigError` when a recorded measurement was made with other settings."""
    difference = first_difference(recorded, now)
    if difference is not None:
        raise ConfigError(
            f"{where}: was measured with other settings ({difference}).",
            hint="Choose another folder, or delete this one to measure again.",
        )


def scene_seed(name: str, seed: int) -> int:
    """Noise seed of a scene: its own, whatever other scenes are in the list.

    The upper half of a generator's seeds belongs to the upper half of the study's.
    """
    return (zlib.crc32(name.encode()) + seed) % 2**31 | (seed & 2**31)

"""Numeric fixtures: where they are, and one loader for a json + safetensors pair."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

# Entries of a description that has arrays beside it.
DESCRIBING_ARRAYS = ("tensors", "tensors_summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One fixture: its description and its tensors (float8 parameters are widened to float32)."""

    name: str
    info: dict[str, Any]
    tensors: dict[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Tensors whose key starts with ``prefix``, with the prefix removed (a state dict)."""
        return {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)}


def goldens_folder() -> Path:
    """Folder named by ``$SPHINX_GOLDENS``, else ``../shared/goldens`` beside the repository."""
    chosen = os.environ.get("SPHINX_GOLDENS")
    if chosen:
        return Path(chosen)
    return Path(__file__).resolve().parents[3] / "shared" / "goldens"


def golden(name: str) -> Golden:
    """Load fixture ``name``; skip the calling test, with the reason, where it is absent.

    Raises ``FileNotFoundError`` for a description whose arrays are missing.
    """
    folder = goldens_folder()
    description = folder / f"{name}.json"
    if not description.exists():
        pytest.skip(f"golden {name!r} is not in {folder} (set SPHINX_GOLDENS)")
    import torch
    from safetensors.torch import load_file

    info = json.loads(description.read_text())
    arrays = folder / f"{name}.safetensors"
    if not arrays.exists() and any(key in info for key in DESCRIBING_ARRAYS):
        raise FileNotFoundError(f"golden {name!r} has a description but no {arrays}")
    tensors = load_file(arrays) if arrays.exists() else {}
    wide = {
        key: value.float() if value.dtype == torch.float8_e4m3fn else value
        for key, value in tensors.items()
    }
    return Golden(name=name, info=info, tensors=wide)

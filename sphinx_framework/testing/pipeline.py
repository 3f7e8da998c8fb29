"""A whole pipeline of fakes, ready to render in milliseconds."""

from typing import Any

import torch

from sphinx_framework.config import PipelineConfig, config_from_dict
from sphinx_framework.engine.engine import Engine
from sphinx_framework.plugin import Capabilities, ComponentSpec, Kind
from sphinx_framework.registry import Registry

_ROLES: dict[Kind, str] = {
    "regression": "FakeRegression",
    "diffusion": "FakeDiffusion",
    "quality": "FakeQuality",
    "mask": "FakeMask",
    "steps": "FakeSteps",
    "embedder": "FakeEmbedder",
}


def fake_specs(capabilities: Capabilities | None = None) -> list[ComponentSpec]:
    """Specs of all fakes, named ``fake``."""
    able = capabilities or Capabilities(frame_subset=True, block_sparse=True)
    return [
        ComponentSpec(
            kind=kind,
            name="fake",
            factory=f"sphinx_framework.testing.fakes:{factory}",
            config="sphinx_framework.testing.fakes:FakeConfig",
            capabilities=able if kind == "diffusion" else Capabilities(),
            summary="a tiny deterministic stand-in for tests",
        )
        for kind, factory in _ROLES.items()
    ]


def fake_config(**changes: Any) -> PipelineConfig:
    """A pipeline of fakes; ``changes`` replace top-level keys.

    The evidence guard is off: the fake diffusion model makes other pictures than it is given.
    """
    roles = {role: {"use": "fake"} for role in _ROLES}
    unguarded = {"guard": False}
    return config_from_dict({"name": "fake", "pipeline": roles, "evidence": unguarded, **changes})


def fake_engine(capabilities: Capabilities | None = None, **changes: Any) -> Engine:
    """An engine on fakes, on the CPU."""
    registry = Registry.from_specs(fake_specs(capabilities))
    return Engine.from_config(fake_config(**changes), device="cpu", registry=registry)


def fake_latents(engine: Engine, frames: int, seed: int = 0) -> torch.Tensor:
    """Random latents of the fake diffusion model's shape."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, 8, 8, 8, generator=generator)

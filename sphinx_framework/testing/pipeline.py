"""A whole pipeline of fakes, ready to render in milliseconds."""

from dataclasses import replace
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


def fake_transformer_spec(capabilities: Capabilities | None = None) -> ComponentSpec:
    """Spec of the fake diffusion transformer, ``fake-transformer``."""
    diffusion = next(spec for spec in fake_specs(capabilities) if spec.kind == "diffusion")
    return replace(
        diffusion,
        name="fake-transformer",
        factory="sphinx_framework.testing.fake_transformer:FakeTransformerDiffusion",
        summary="a tiny diffusion transformer for tests",
    )


def fake_config(*, diffusion: str = "fake", **changes: Any) -> PipelineConfig:
    """A pipeline of fakes; ``diffusion`` may be ``fake-transformer``, ``changes`` replace keys.

    The evidence guard is off: the fake diffusion model makes other pictures than it is given.
    """
    roles = {role: {"use": "fake"} for role in _ROLES} | {"diffusion": {"use": diffusion}}
    unguarded = {"guard": False}
    return config_from_dict({"name": "fake", "pipeline": roles, "evidence": unguarded, **changes})


def fake_engine(capabilities: Capabilities | None = None, **changes: Any) -> Engine:
    """An engine on fakes, on the CPU."""
    specs = [*fake_specs(capabilities), fake_transformer_spec(capabilities)]
    registry = Registry.from_specs(specs)
    return Engine.from_config(fake_config(**changes), device="cpu", registry=registry)


def fake_latents(engine: Engine, frames: int, seed: int = 0) -> torch.Tensor:
    """Random latents of the fake diffusion model's shape."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, 8, 8, 8, generator=generator)

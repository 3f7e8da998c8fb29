"""Whole requests of an official pair with random weights, by mode and in few steps.

Every stage is in them: regression, scores, encoding, denoising, decoding. Start steps come from the
pair's own rules at drawn ratios, because ratios of random weights mean nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import torch
from timed_requests import DrawnRatios, measured

from sphinx_framework.config import PipelineConfig, load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.frame_plan import Walk
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene

PLUGINS = ("clip", "dust3r", "klogic", "lite", "masks", "musiq", "mvsplat", "seva", "viewcrafter")
PAIRS = {"seva": "seva-mvsplat", "viewcrafter": "viewcrafter-dust3r"}
RANDOM = {
    "seva": (
        "regression.weights=random", "diffusion.weights=random", "diffusion.vae=random",
        "diffusion.clip=random", "quality.weights=random", "embedder.weights=random",
        "steps.cluster=0",
    ),
    "viewcrafter": (
        "regression.weights=random", "diffusion.weights=random", "quality.weights=random",
        "poses.weights=random",
    ),
}  # fmt: skip
# What random weights paint differs from its render: it must be neither withheld nor made again.
UNGUARDED = ("evidence.guard=false", "evidence.min_opacity=0", "engine.retry=false")
TARGETS = {"seva": 19, "viewcrafter": 23}
SMALL = ("num_steps=6", "size=[64,64]", "plan.refresh_every=2", "plan.full_tail=1")
FEW = 2
# The most telling first: a stage that is cut has measured what matters.
REQUESTS = ("diffusion", "fine", "selective", "few steps", "coarse")


def requests(name: str, device: torch.device, *, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row for every kind of request, after a short one that warms up; one that fails says so."""
    engine = _engine(name, device, tiny=tiny)
    scene = fake_scene(targets=3 if tiny else TARGETS[name], size=engine.config.size or (64, 64))
    by_kind = {kind: _with_steps(engine, FEW if kind == "few steps" else None) for kind in REQUESTS}
    measured(by_kind["few steps"], scene, "fine", seed=0)
    for kind in REQUESTS:
        mode = "fine" if kind == "few steps" else kind
        row: dict[str, Any] = {"model": name, "request": kind}
        try:
            told = measured(by_kind[kind], scene, mode, seed=0)
        except Exception as error:
            yield row | {"seconds": None, "error": f"{type(error).__name__}: {error}"[:500]}
            continue
        yield row | {
            "seconds": told["wall_seconds"],
            "denoise": told["seconds"]["denoise"],
            "stages": told["seconds"],
            "frame_steps": told["counts"]["frame_steps"],
            "cache_bytes": told["cache_bytes_peak"],
            "peak_bytes": told["device_bytes_peak"],
            "joules": told["joules"],
            "notes": told["notes"],
        }


def settings(name: str, *, tiny: bool) -> tuple[PipelineConfig, Registry]:
    """The pair from this repository's sources, installed or not."""
    registry = Registry.from_entry_points(
        EntryPoint(plugin, f"sphinx_framework_{plugin}.plugin", "sphinx_framework")
        for plugin in PLUGINS
    )
    small = Path(__file__).parents[1] / f"{name}_small.toml"
    changed = [*(SMALL if tiny else RANDOM[name]), *UNGUARDED]
    return load_config(str(small) if tiny else PAIRS[name], changed), registry


def _engine(name: str, device: torch.device, *, tiny: bool) -> Engine:
    config, registry = settings(name, tiny=tiny)
    return Engine.from_config(config, device=device, registry=registry)


def _with_steps(engine: Engine, few: int | None) -> Engine:
    steps = DrawnRatios(engine.components.steps, seed=0, walk=None if few is None else Walk(few))
    return Engine(replace(engine.components, steps=steps), engine.config, engine.device)

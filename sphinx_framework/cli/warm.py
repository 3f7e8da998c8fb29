"""``warm``: everything that only the first request of a machine or a process pays, paid now."""

import argparse
from collections import Counter
from time import perf_counter
from typing import Any

import torch

from sphinx_framework.cli.answer import print_json
from sphinx_framework.config import load_config, overridden
from sphinx_framework.engine.engine import Engine
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.testing.scenes import track_scene
from sphinx_framework.types import Scene

LEAST_SIDE = 64
STEPS = 3  # a recording pass, and what reads its cache


def warm(arguments: argparse.Namespace) -> int:
    """Fetch and load all weights, compile kernels, serve one request; say what each took.

    Kernels that are compiled to disk stay there for later processes; so does what was fetched.
    """
    took: dict[str, float] = {}
    with _timed(took, "kernels"):
        gaussian_kernels()
    config = load_config(arguments.config, arguments.overrides)
    # Every target walks the last steps: a scene that needs none would warm nothing of the network.
    latest = max(0, config.num_steps - STEPS)
    config = overridden(config, [f"plan.max_start={latest}", "plan.full_tail=0"])
    registry = Registry.from_entry_points()
    with _timed(took, "weights"):
        engine = Engine.from_config(
            config,
            device=arguments.device,
            registry=registry,
            licence_policy=arguments.licence_policy,
        )
    scene = _scene(engine, arguments.scene)
    with _timed(took, "first request"):
        engine.render(scene)
    with _timed(took, "second request"):
        trace = engine.render(scene).report.trace
    kinds = dict(Counter(step.kind for step in trace))
    if arguments.json:
        told = {"config": config.name, "device": str(engine.device), "seconds": took}
        print_json(told | {"steps": kinds})
        return 0
    for what, seconds in took.items():
        print(f"{what:>15}  {seconds:8.2f} s")
    print(f"{'steps of each':>15}  {', '.join(f'{n} {kind}' for kind, n in kinds.items())}")
    return 0


def gaussian_kernels() -> None:
    """Compile the CPU rasterizer, or load it from disk."""
    from sphinx_framework.splatting.gaussians import render_gaussians
    from sphinx_framework.testing.fakes import fake_cameras
    from sphinx_framework.types import Gaussians

    gaussians = Gaussians(
        means=torch.tensor([[0.0, 0.0, 3.0]]),
        covariances=0.05 * torch.eye(3)[None],
        harmonics=torch.full((1, 3, 1), 1.5),
        opacities=torch.tensor([0.95]),
    )
    render_gaussians(gaussians, fake_cameras(1, (32, 32)))


def _scene(engine: Engine, path: str | None) -> Scene:
    """The scene asked for at the pipeline's size, or a small one that the model may have."""
    config = engine.config
    if path is not None:
        return load_scene(path, size=config.size, fit=config.fit)
    model = engine.components.diffusion
    side = model.latent_factor * model.tile
    side *= max(1, -(-LEAST_SIDE // side))
    return track_scene(2, 2, (side, side), seed=0)


class _timed:  # noqa: N801
    """Book the seconds of a block."""

    def __init__(self, took: dict[str, float], what: str) -> None:
        self.took, self.what = took, what

    def __enter__(self) -> None:
        self.began = perf_counter()

    def __exit__(self, *raised: Any) -> None:
        self.took[self.what] = perf_counter() - self.began

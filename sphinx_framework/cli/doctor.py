"""``doctor``: versions, devices, kernels, weights, and what to do about what is missing."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from sphinx_framework.cli.answer import print_json
from sphinx_framework.config import ROLES, PipelineConfig, load_config, shipped_configs
from sphinx_framework.engine.components import choose_device
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import SphinxError, raised
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.version import __version__

PACKAGES = ("numpy", "numba", "diffusers", "open_clip_torch", "pyiqa", "gsplat", "av", "pillow")


def doctor(arguments: argparse.Namespace) -> int:
    """Run every check; exit 1 when something that should work does not."""
    device = choose_device(arguments.device)
    registry = Registry.from_entry_points()
    checks = [
        *_machine(device),
        _check("engine on fakes", _golden_render),
        _check("gaussian renderer", _gaussian_render),
        *_plugin_checks(registry),
        *_pipeline_checks(registry, arguments.device),
    ]
    failed = [c for c in checks if c["state"] == "failed"]
    if arguments.json:
        print_json({"ok": not failed, "checks": checks})
        return 1 if failed else 0
    console = Console()
    for check in checks:
        console.print(f"{check['state']:>7}  {escape(check['name'])}: {escape(check['told'])}")
        if check["do"]:
            console.print(f"         {escape(check['do'])}")
    return 1 if failed else 0


def _told(name: str, told: str, state: str = "ok", do: str = "") -> dict[str, str]:
    return {"name": name, "state": state, "told": told, "do": do}


def _check(name: str, run: Any) -> dict[str, str]:
    try:
        return _told(name, run())
    except SphinxError as error:
        return _told(name, error.message, "failed", error.hint)
    except Exception as error:
        return _told(name, raised(error), "failed")


def _machine(device: torch.device) -> list[dict[str, str]]:
    told = [
        _told("framework", f"{__version__}, Python {platform.python_version()}"),
        _told("torch", f"{torch.__version__}, {torch.get_num_threads()} of {os.cpu_count()} CPUs"),
        _told("device", str(device)),
    ]
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        told.append(_told("GPU memory", f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"))
    for package in PACKAGES:
        try:
            told.append(_told(package, version(package)))
        except PackageNotFoundError:
            told.append(_told(package, "not installed", "absent"))
    return told


def _golden_render() -> str:
    """The fakes' render, whose mean is known: it notices silently wrong kernels."""
    result = fake_engine().render(fake_scene(), mode="selective", quality=0.9)
    mean = float(result.images.mean())
    if not 0.2 < mean < 0.8:
        raise RuntimeError(f"the fake pipeline rendered a mean of {mean:.3f}, expected about 0.5")
    counts = result.report.counts
    return f"{counts.full_steps} full, {counts.partial_steps} partial steps"


def _gaussian_render() -> str:
    """One bright Gaussian in the middle: black frames mean a broken rasterizer."""
    from sphinx_framework.splatting.gaussians import render_gaussians
    from sphinx_framework.testing.fakes import fake_cameras
    from sphinx_framework.types import Gaussians

    gaussians = Gaussians(
        means=torch.tensor([[0.0, 0.0, 3.0]]),
        covariances=0.05 * torch.eye(3)[None],
        harmonics=torch.full((1, 3, 1), 1.5),
        opacities=torch.tensor([0.95]),
    )
    render = render_gaussians(gaussians, fake_cameras(1, (32, 32)))
    centre = float(render.opacity[0, 16, 16])
    if not 0.8 < centre <= 1.0:
        raise RuntimeError(f"the centre of a bright Gaussian has opacity {centre:.3f}")
    return f"centre opacity {centre:.2f}"


def _plugin_checks(registry: Registry) -> list[dict[str, str]]:
    return [
        _told(f"plugin {p.name}", f"{p.distribution} {p.version}")
        if p.status == "ok"
        else _told(
            f"plugin {p.name}", f"{p.status}: {p.reason}", "broken", "sphinx-nvs plugins --verbose"
        )
        for p in registry.plugins
    ]


def _pipeline_checks(registry: Registry, device: str) -> list[dict[str, str]]:
    """Build every shipped pipeline whose weights are here; say what the others need."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a check downloads nothing
    told = []
    for name in shipped_configs():
        config = load_config(name)
        try:
            Engine.from_config(config, device=device, registry=registry)
            told.append(_told(f"pipeline {name}", "ready"))
        except SphinxError as error:
            told.append(_told(f"pipeline {name}", error.message, "absent", error.hint))
            told += _further_roles(name, config, registry, choose_device(device), error.message)
    return told


def _further_roles(
    name: str, config: PipelineConfig, registry: Registry, device: torch.device, known: str
) -> list[dict[str, str]]:
    """What else a pipeline lacks: building it ends at the first component that is not there."""
    told = []
    try:
        options = config.validate_options(registry, name)
    except SphinxError:
        return []  # known: nothing is built before options are valid
    for role in ("embedder", "regression", "diffusion", "quality"):
        if role not in config.pipeline:
            continue
        use = config.pipeline[role].use
        try:
            registry.build(ROLES[role], use, options[role], device)
        except SphinxError as error:
            if error.message != known:
                told.append(_told(f"pipeline {name}, {role}", error.message, "absent", error.hint))
    return told

"""A whole request with every other model on an emulated device, a tiny one of each."""

import sys
import tomllib
from pathlib import Path

import pytest
import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.components import build_components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.registry import Registry
from sphinx_framework.testing.scenes import track_scene
from tests.support.emulated_device import EmulatedRun

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = BENCHMARKS / "tiny"
sys.path.insert(0, str(BENCHMARKS))

from tiny.files import FILES  # noqa: E402

WALK = (
    "size=[64,64]", "num_steps=7", "plan.refresh_every=3", "plan.full_tail=1", "plan.max_steps=7",
    "evidence.min_opacity=0", "composite.finish=false", "engine.retry=false",
)  # fmt: skip
# Those of the whole requests beside this file.
ELSEWHERE = {"regression-mvsplat", "regression-dust3r", "regression-lite"} | {
    f"diffusion-{name}" for name in ("seva", "viewcrafter", "lite")
}
# What the emulated device cannot carry: other packages' code, which nobody ran on a GPU from here.
NOT_CARRIED = {
    "diffusion-stable-video": "the embedding of transformers' CLIP reads its indices on the host",
    "regression-ffgs": "ffgs multiplies by a matrix of the host when it turns harmonics",
}
NAMES = sorted({file.stem for file in TINY.glob("*.toml")} - ELSEWHERE - NOT_CARRIED.keys())


def rendered(name: str, folder: Path, run: EmulatedRun, mode: str) -> RenderResult:
    kind, _, use = name.partition("-")
    options = tomllib.loads((TINY / f"{name}.toml").read_text(encoding="utf-8"))
    if "rasterizer" in options:  # numba's is for the CPU
        options["rasterizer"] = "torch"
    if name in FILES:
        key, write = FILES[name]
        options[key] = str(write(folder))
    config = load_config("lite", WALK)
    chosen = type(config.pipeline[kind]).model_validate({"use": use, **options})
    steps = type(chosen).model_validate({"use": "fixed", "start": 3})
    pipeline = {**config.pipeline, "steps": steps, kind: chosen}
    config = config.model_copy(update={"pipeline": pipeline})
    parts = build_components(config, Registry.from_entry_points(), run.device, name)
    return Engine(parts, config, run.device).render(track_scene(3, 2, (64, 64), 0), mode=mode)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_stays_on_one_device(name: str, tmp_path: Path) -> None:
    mode = "fine" if name.startswith("diffusion") else "regression"
    with EmulatedRun() as run:
        result = rendered(name, tmp_path, run, mode)
    assert result.images.device.type == "cpu"
    assert bool(torch.isfinite(result.images).all())
    if mode == "fine":
        assert result.report.trace

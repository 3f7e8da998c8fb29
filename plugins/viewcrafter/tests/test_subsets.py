"""The law of partial steps: with a fresh cache they give the full pass's rows."""

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene
from sphinx_framework.testing.oracle import (
    RELATIVE_TOLERANCE,
    fresh_cache_errors,
    relative_error,
)
from sphinx_framework_viewcrafter.conditioning import Condition
from sphinx_framework_viewcrafter.config import tiny_config
from sphinx_framework_viewcrafter.model import ViewCrafter

CPU = torch.device("cpu")
SIZE = (32, 48)


def prepared(model: ViewCrafter, targets: int, seed: int = 0) -> tuple[torch.Tensor, Condition]:
    """Noisy latents and the condition of a clip with that many targets, on the 50-step grid."""
    scene = fake_scene(targets=targets, size=SIZE, seed=seed)
    coarse = FakeRegression(FakeConfig(), CPU).predict(scene)
    (layout,) = model.layouts(scene)
    images = [
        scene.images[s.index] if s.kind == "input" else coarse.images[s.index] for s in layout.slots
    ]
    clean = model.encode(torch.stack(images))
    condition = model.condition(scene, coarse, layout, clean, model.sampler(50))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clean.shape, generator=generator), condition


@pytest.fixture(scope="session")
def variants(tiny_model: ViewCrafter) -> dict[str, ViewCrafter]:
    per_frame = tiny_config(per_frame_context=True, clip_frames=4)
    return {
        "shared context": tiny_model,
        "one branch": ViewCrafter(tiny_config(guidance=1.0), CPU),
        "no rescale": ViewCrafter(tiny_config(guidance_rescale=0.0), CPU),
        "per-frame context": ViewCrafter(per_frame, CPU),
    }


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_frames_and_any_tiles_reproduce_the_full_pass(
    variants: dict[str, ViewCrafter], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(variants)))
    model = variants[name]
    targets = 2 if name == "per-frame context" else data.draw(st.integers(1, 5))
    x, condition = prepared(model, targets)
    frames = data.draw(st.sets(st.integers(0, len(x) - 1), min_size=1))
    grid = (x.shape[2] // model.tile, x.shape[3] // model.tile)
    cells = len(x) * grid[0] * grid[1]
    active = data.draw(st.sets(st.integers(0, cells - 1), min_size=1))
    tiles = torch.zeros(cells, dtype=torch.bool)
    tiles[sorted(active)] = True
    step = data.draw(st.integers(0, 49))
    errors = fresh_cache_errors(
        model, x, step, condition, frames=sorted(frames), tiles=tiles.view(-1, *grid)
    )
    assert max(errors.values()) < RELATIVE_TOLERANCE, errors


@pytest.mark.parametrize("targets", [1, 4])
def test_a_step_with_all_frames_active_does_not_see_the_stale_cache(
    tiny_model: ViewCrafter, targets: int
) -> None:
    x, condition = prepared(tiny_model, targets)
    stale, _ = prepared(tiny_model, targets, seed=1)
    cache = LatentCache()
    cache.begin_record(0)
    tiny_model.denoise(stale, 0, condition, RecordExecutor(len(x), cache))
    every = FrameSubsetExecutor(len(x), cache, torch.arange(len(x)))
    found = tiny_model.denoise(x, 7, condition, every)
    expected = tiny_model.denoise(x, 7, condition, DenseExecutor(len(x)))
    assert relative_error(found, expected) < RELATIVE_TOLERANCE


def test_running_a_subset_as_a_short_clip_would_be_wrong(tiny_model: ViewCrafter) -> None:
    x, condition = prepared(tiny_model, 4)
    short = replace(condition, latents=condition.latents[:3])
    alone = tiny_model.denoise(x[:3], 3, short, DenseExecutor(3))
    whole = tiny_model.denoise(x, 3, condition, DenseExecutor(len(x)))
    assert relative_error(alone, whole[:3]) > 100 * RELATIVE_TOLERANCE


def test_a_cached_partial_step_reads_other_frames_from_the_cache(tiny_model: ViewCrafter) -> None:
    x, condition = prepared(tiny_model, 4)
    results: list[Any] = []
    for seed in (1, 2):
        recorded, _ = prepared(tiny_model, 4, seed=seed)
        cache = LatentCache()
        cache.begin_record(3)
        tiny_model.denoise(recorded, 3, condition, RecordExecutor(len(x), cache))
        ops = FrameSubsetExecutor(len(x), cache, torch.tensor([1, 2]))
        results.append(tiny_model.denoise(x[1:3], 3, condition, ops))
    assert relative_error(results[0], results[1]) > 10 * RELATIVE_TOLERANCE

"""Diffusion models that paint something else: the shipped pipeline serves none of their frames."""

from dataclasses import replace

import pytest
import torch
from goldens import capture_folder
from torch.nn import functional

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import JobError
from sphinx_framework.scenes.frame_pairs import captured
from sphinx_framework.scenes.load import load_scene

TARGETS = [1, 4]


def few_targets(name):
    return of_targets(load_scene(name, size=(96, 96)), TARGETS)


def of_targets(scene, targets):
    return replace(
        scene,
        targets=scene.targets[targets],
        target_images=scene.target_images[targets],
        order=None,
    )


@pytest.fixture(scope="module")
def engine():
    return Engine.from_config(load_config("lite"), device="cpu")


@pytest.fixture(scope="module")
def scene():
    return few_targets("procedural:report/520")


@pytest.fixture(scope="module")
def other():
    return few_targets("procedural:report/521").target_images


@pytest.fixture(scope="module")
def wide():
    """Two photos so far apart that they prove .15 of the views between."""
    (scene,) = captured(f"{capture_folder('dl3dv_140')}:0-29", (96, 96))
    return of_targets(scene, [3, 14, 25])


def blocks(render, _):
    cells = torch.rand(len(render), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return functional.interpolate(cells, render.shape[-2:])


PLANTED = {
    "black": lambda render, _: torch.zeros_like(render),
    "blocks": blocks,
    "noise": lambda render, _: torch.rand(render.shape, generator=torch.Generator().manual_seed(1)),
    "another scene": lambda _, other: other,
    "half of another scene": lambda render, other: 0.5 * (render + other),
    "the negative": lambda render, _: 1 - render,
    "the mirrored view": lambda render, _: render.flip(3),
    "the view 20 pixels aside": lambda render, _: render.roll(20, 3),
    "the view 6 pixels aside": lambda render, _: render.roll(6, 3),
    "its neighbour's frame": lambda render, _: render.roll(1, 0),
    "the view without colours": lambda render, _: render.mean(1, keepdim=True).expand_as(render),
}


GROSS = ("black", "blocks", "noise", "another scene", "the negative")


class Painter:
    """The shipped model, but every step predicts the latents of pictures of its own."""

    def __init__(self, model, paint):
        self._model, self._paint = model, paint

    def __getattr__(self, name):
        return getattr(self._model, name)

    def condition(self, scene, coarse, layout, clean, sampler):
        latents = clean.clone()
        painted = self._model.encode(self._paint(coarse.images))
        for slot, target in layout.targets.items():
            latents[slot] = painted[target]
        return latents

    def denoise(self, x, step, condition, ops):
        return ops.maps(condition)


def painted(engine, scene, paint):
    """What comes of a request when the diffusion model paints that."""
    shipped = engine.components
    engine.components = replace(shipped, diffusion=Painter(shipped.diffusion, paint))
    try:
        return engine.render(scene)
    finally:
        engine.components = shipped


@pytest.mark.parametrize("kind", PLANTED)
def test_none_of_its_frames_is_served(engine, scene, other, kind):
    result = painted(engine, scene, lambda render: PLANTED[kind](render, other))
    assert [frame.steps_run > 0 for frame in result.report.frames] == [True] * len(TARGETS)
    for frame in result.report.frames:
        assert frame.served == "regression", (frame.evidence, frame.lost)
        assert "lost" in frame.reason or "of what the inputs prove" in frame.reason
        assert frame.missed
        assert torch.equal(result.images[frame.index], result.coarse.images[frame.index])


@pytest.mark.parametrize("kind", GROSS)
def test_nor_is_any_of_views_that_the_photos_prove_little_of(engine, wide, other, kind):
    cycled = other[torch.arange(len(wide.targets)) % len(other)]
    frames = painted(engine, wide, lambda render: PLANTED[kind](render, cycled)).report.frames
    assert all(frame.steps_run for frame in frames)
    assert {(frame.served, frame.missed) for frame in frames} == {("regression", True)}


def test_one_that_makes_nan_ends_the_request_with_its_name(engine, scene):
    with pytest.raises(JobError, match=r"diffusion 'lite'.*hold NaN"):
        painted(engine, scene, lambda render: torch.full_like(render, torch.nan))


def test_one_that_keeps_the_render_is_served(engine, scene):
    frames = painted(engine, scene, lambda render: render).report.frames
    assert {(frame.served, frame.missed) for frame in frames} == {("refined", False)}

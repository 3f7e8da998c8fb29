"""The model behind the framework's protocol."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from sphinx_framework.errors import BrokenPluginError, CapabilityError, SceneError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.protocols import SolverStep
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene
from sphinx_framework.types import ClipLayout, CoarseViews, Scene, Slot
from sphinx_framework_viewcrafter import plugin
from sphinx_framework_viewcrafter.clip_text import tokenized
from sphinx_framework_viewcrafter.config import (
    DEFAULT_PROMPT,
    ResamplerConfig,
    TextTowerConfig,
    tiny_config,
)
from sphinx_framework_viewcrafter.model import ViewCrafter

CPU = torch.device("cpu")
SIZE = (32, 48)


def coarse_of(scene: Scene) -> CoarseViews:
    return FakeRegression(FakeConfig(), CPU).predict(scene)


def clip_images(scene: Scene, coarse: CoarseViews, layout: ClipLayout) -> torch.Tensor:
    return torch.stack(
        [
            scene.images[s.index] if s.kind == "input" else coarse.images[s.index]
            for s in layout.slots
        ]
    )


@pytest.fixture(scope="module")
def mean_model() -> ViewCrafter:
    return ViewCrafter(tiny_config(condition_posterior="mean"), CPU)


def test_a_scene_goes_from_coarse_views_to_images(tiny_model: ViewCrafter) -> None:
    scene = fake_scene(targets=3, size=SIZE)
    coarse = coarse_of(scene)
    (layout,) = tiny_model.layouts(scene)
    clean = tiny_model.encode(clip_images(scene, coarse, layout))
    condition = tiny_model.condition(scene, coarse, layout, clean, tiny_model.sampler(50))
    grid = tiny_model.sampler(3)
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.randn(clean.shape, generator=generator)

    x = grid.noised(clean, draw(), 0)
    for step in range(grid.num_steps):
        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=draw)
        denoised = tiny_model.denoise(x, step, condition, DenseExecutor(len(layout)))
        x = grid.advance(x, denoised, move)
    images = tiny_model.decode(x)
    assert images.shape == (len(layout), 3, *SIZE)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1


def test_latents_are_deterministic_and_smaller_by_the_latent_factor(
    tiny_model: ViewCrafter,
) -> None:
    images = fake_scene(size=SIZE).images
    latents = tiny_model.encode(images)
    assert torch.equal(latents, tiny_model.encode(images))
    assert latents.shape[2:] == tuple(side // tiny_model.latent_factor for side in SIZE)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    latents = [
        ViewCrafter(tiny_config(seed=seed), CPU).encode(fake_scene(size=SIZE).images)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(latents[0], latents[1])
    assert not torch.equal(latents[0], latents[2])


def test_straight_colours_are_premultiplied_for_the_condition(mean_model: ViewCrafter) -> None:
    scene = fake_scene(targets=2, size=SIZE)
    coarse = coarse_of(scene)
    assert coarse.opacity is not None
    (layout,) = mean_model.layouts(scene)
    clean = mean_model.encode(clip_images(scene, coarse, layout))
    condition = mean_model.condition(scene, coarse, layout, clean, mean_model.sampler(50))
    faded = replace(coarse, images=coarse.images * coarse.opacity[:, None])
    expected = mean_model.encode(clip_images(scene, faded, layout))
    torch.testing.assert_close(condition.latents, expected)
    assert not torch.allclose(condition.latents, clean)


def test_premultiplied_colours_are_taken_as_they_are() -> None:
    model = ViewCrafter(
        tiny_config(condition_posterior="mean", coarse_colours="premultiplied"), CPU
    )
    scene = fake_scene(targets=2, size=SIZE)
    coarse = coarse_of(scene)
    (layout,) = model.layouts(scene)
    clean = model.encode(clip_images(scene, coarse, layout))
    condition = model.condition(scene, coarse, layout, clean, model.sampler(50))
    torch.testing.assert_close(condition.latents, clean)


def test_sampled_condition_latents_differ_from_the_mean_but_not_between_calls(
    tiny_model: ViewCrafter,
) -> None:
    scene = fake_scene(targets=2, size=SIZE)
    coarse = replace(coarse_of(scene), opacity=None)
    (layout,) = tiny_model.layouts(scene)
    clean = tiny_model.encode(clip_images(scene, coarse, layout))
    schedule = tiny_model.sampler(50)
    first, second = (
        tiny_model.condition(scene, coarse, layout, clean, schedule).latents for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, clean)


def test_given_targets_condition_with_their_clean_latents(tiny_model: ViewCrafter) -> None:
    scene = fake_scene(targets=3, size=SIZE)
    coarse = coarse_of(scene)
    layout = ClipLayout(
        slots=(
            Slot(kind="target", index=0, given=True),
            Slot(kind="target", index=1),
            Slot(kind="input", index=1),
        )
    )
    clean = tiny_model.encode(clip_images(scene, coarse, layout)) + 1
    condition = tiny_model.condition(scene, coarse, layout, clean, tiny_model.sampler(50))
    assert torch.equal(condition.latents[0], clean[0])
    assert not torch.allclose(condition.latents[1:], clean[1:])


def test_clips_of_one_request_do_not_share_image_tokens(tiny_model: ViewCrafter) -> None:
    scene = fake_scene(targets=2, size=SIZE)
    coarse = coarse_of(scene)
    conditions = []
    for ends in ((0, 1), (1, 0)):
        first, last = (Slot(kind="input", index=i) for i in ends)
        layout = ClipLayout(slots=(first, Slot(kind="target", index=0), last))
        clean = tiny_model.encode(clip_images(scene, coarse, layout))
        conditions.append(
            tiny_model.condition(scene, coarse, layout, clean, tiny_model.sampler(50))
        )
    x = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    store: dict[str, torch.Tensor] = {}
    for condition in conditions:
        shared = tiny_model.denoise(x, 2, condition, DenseExecutor(3, store))
        fresh = tiny_model.denoise(x, 2, condition, DenseExecutor(3))
        assert torch.equal(shared, fresh)


def test_without_guidance_only_the_conditional_branch_runs() -> None:
    model = ViewCrafter(tiny_config(guidance=1.0), CPU)
    scene = fake_scene(targets=1, size=SIZE)
    coarse = coarse_of(scene)
    (layout,) = model.layouts(scene)
    clean = model.encode(clip_images(scene, coarse, layout))
    condition = model.condition(scene, coarse, layout, clean, model.sampler(50))
    assert condition.context.branches == 1
    assert model.denoise(clean, 0, condition, DenseExecutor(3)).shape == clean.shape


def test_half_precision_stays_close_to_single_precision(tiny_model: ViewCrafter) -> None:
    half = ViewCrafter(tiny_config(dtype="bfloat16"), CPU)
    images = fake_scene(size=SIZE).images
    difference = half.encode(images) - tiny_model.encode(images)
    assert difference.abs().max() < 0.1 * tiny_model.encode(images).abs().max()
    assert half.decode(half.encode(images)).dtype == torch.float32


def test_images_the_network_cannot_halve_are_refused_with_advice(tiny_model: ViewCrafter) -> None:
    with pytest.raises(SceneError, match="multiples of 16") as caught:
        tiny_model.encode(torch.zeros(1, 3, 40, 48))
    assert "size" in caught.value.hint


def test_per_frame_context_refuses_clips_of_another_length() -> None:
    model = ViewCrafter(tiny_config(per_frame_context=True), CPU)
    scene = fake_scene(targets=3, size=SIZE)
    coarse = coarse_of(scene)
    (layout,) = model.layouts(scene)
    clean = model.encode(clip_images(scene, coarse, layout))
    with pytest.raises(CapabilityError, match="5"):
        model.condition(scene, coarse, layout, clean, model.sampler(50))


def test_prompts_are_token_ids_between_a_start_and_an_end() -> None:
    config = TextTowerConfig()
    tokens = tokenized([DEFAULT_PROMPT, ""], config)
    # The ids that the authors' tokenizer gives for the prompt that everybody uses.
    start, end, scene = 49406, 49407, [32265, 1093, 539, 320, 3562]
    zeros = [0] * (config.context_length - len(scene) - 2)
    assert tokens[0].tolist() == [start, *scene, end, *zeros]
    assert tokens[1, :3].tolist() == [start, end, 0]


def test_without_open_clip_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(BrokenPluginError, match="open_clip") as caught:
        tokenized(["a red chair"], TextTowerConfig())
    assert "pip install open_clip_torch" in caught.value.hint


def test_sizes_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="output_dim"):
        tiny_config(resampler=ResamplerConfig(output_dim=48, embedding_dim=32))


def test_the_registry_builds_the_model_from_its_options() -> None:
    (spec,) = plugin.sphinx_framework_components()
    registry = Registry.from_specs([spec])
    values = tiny_config().model_dump()
    options = registry.options("diffusion", "viewcrafter", values, "test")
    model = registry.build("diffusion", "viewcrafter", options, CPU)
    assert model.latent_factor == 8
    assert spec.non_commercial
    assert spec.capabilities.frame_subset


def test_listing_the_plugin_imports_no_torch() -> None:
    code = (
        "import sys, sphinx_framework_viewcrafter.plugin as p, sphinx_framework_viewcrafter.config;"
        "p.sphinx_framework_components(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

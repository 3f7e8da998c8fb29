import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import pytest
import torch
from safetensors import safe_open

from sphinx_framework.errors import SceneError, WeightsError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.testing.contracts import (
    DiffusionContract,
    EmbedderContract,
    QualityContract,
    RegressionContract,
)
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import Scene
from sphinx_framework_lite.config import (
    DiffusionConfig,
    EmbedderConfig,
    QualityConfig,
    RegressionConfig,
)
from sphinx_framework_lite.embedder import LiteEmbedder
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.quality import LiteQuality
from sphinx_framework_lite.regression import LiteRegression, outside_of_training
from sphinx_framework_lite.scenes.generate import make_scene

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def regression():
    return LiteRegression(RegressionConfig(), CPU)


@pytest.fixture(scope="module")
def diffusion():
    return LiteDiffusion(DiffusionConfig(), CPU)


@pytest.fixture(scope="module")
def quality():
    return LiteQuality(QualityConfig(), CPU)


@pytest.fixture(scope="module")
def scene():
    return make_scene(3, split="calibration", targets=3, baseline=0.25)


def test_the_diffusion_stage_uses_the_depth_that_the_regression_stage_measured(
    regression, diffusion, scene, monkeypatch
):
    coarse = regression.predict(scene)
    layout = diffusion.layouts(scene)[0]
    frames = [
        (scene.images if slot.kind == "input" else coarse.images)[slot.index]
        for slot in layout.slots
    ]
    clean = diffusion.encode(torch.stack(frames))
    unknown = replace(coarse, input_depth=None, input_confidence=None)
    sampler = diffusion.sampler(50)
    measured = diffusion.condition(scene, unknown, layout, clean, sampler)
    monkeypatch.setattr(diffusion, "_depth", None)  # would raise if it were asked
    taken = diffusion.condition(scene, coarse, layout, clean, sampler)
    assert torch.equal(taken.maps, measured.maps)


class TestRegressionContract(RegressionContract):
    def make(self):
        return LiteRegression(RegressionConfig(), CPU)


class TestDiffusionContract(DiffusionContract):
    size = (32, 48)
    draws = 2
    asked_steps = range(0, 50, 3)

    def make(self):
        return LiteDiffusion(DiffusionConfig(), CPU)


class TestQualityContract(QualityContract):
    def make(self):
        return LiteQuality(QualityConfig(), CPU)


class TestEmbedderContract(EmbedderContract):
    def make(self):
        return LiteEmbedder(EmbedderConfig(), CPU)


def error(images, truth):
    return float((images - truth).square().mean())


def test_listing_the_plugin_imports_no_torch():
    code = (
        "import sys, sphinx_framework_lite.plugin, sphinx_framework_lite.config; "
        "bad = {'torch', 'numba', 'numpy'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_regression_beats_copying_the_nearest_input(regression, scene):
    coarse = regression.predict(scene)
    nearest = torch.stack([scene.images[0], scene.images[0], scene.images[1]])
    assert error(coarse.images, scene.target_images) < 0.7 * error(nearest, scene.target_images)


def test_full_resolution_regression_is_sharper(regression, scene):
    sharp = regression.predict(scene).images
    smooth = LiteRegression(RegressionConfig(stride=2), CPU).predict(scene).images
    assert sharp.diff(dim=-1).abs().mean() > smooth.diff(dim=-1).abs().mean()


def test_one_input_is_refused_with_a_hint(regression):
    with pytest.raises(SceneError) as caught:
        regression.predict(fake_scene(targets=2, inputs=1, size=(32, 32)))
    assert caught.value.hint


def test_cameras_in_one_place_are_refused(regression):
    scene = fake_scene(targets=2, size=(32, 32))
    still = Scene(
        images=scene.images,
        inputs=scene.inputs[[0, 0]],
        targets=scene.targets,
        near=None,
        far=None,
    )
    with pytest.raises(SceneError, match="share one centre"):
        regression.predict(still)


@pytest.mark.parametrize(("inputs", "targets", "size"), [(2, 1, (32, 64)), (4, 3, (48, 32))])
def test_other_counts_and_sizes_work(regression, diffusion, inputs, targets, size):
    scene = fake_scene(targets=targets, inputs=inputs, size=size)
    coarse = regression.predict(scene)
    assert coarse.images.shape == (targets, 3, *size)
    layout = diffusion.layouts(scene)[0]
    frames = torch.stack(
        [(scene.images if s.kind == "input" else coarse.images)[s.index] for s in layout.slots]
    )
    clean = diffusion.encode(frames)
    schedule = diffusion.sampler(50)
    condition = diffusion.condition(scene, coarse, layout, clean, schedule)
    out = diffusion.denoise(clean, 25, condition, DenseExecutor(len(layout)))
    assert out.shape == clean.shape == (inputs + targets, 12, size[0] // 4, size[1] // 4)
    given = [i for i, s in enumerate(layout.slots) if s.kind == "input"]
    assert torch.equal(out[given], clean[given])


def test_many_targets_are_split_into_clips_that_hold_all_inputs():
    model = LiteDiffusion(DiffusionConfig(max_frames=6, weights="random"), CPU)
    layouts = model.layouts(fake_scene(targets=9, inputs=2, size=(32, 32)))
    assert [len(layout) for layout in layouts] == [5, 5, 5]
    assert sorted(t for layout in layouts for t in layout.targets.values()) == list(range(9))
    assert all(sum(s.kind == "input" for s in layout.slots) == 2 for layout in layouts)


def test_sizes_that_do_not_fit_the_tiles_are_refused(diffusion):
    with pytest.raises(SceneError, match="40x40"):
        diffusion.layouts(fake_scene(size=(40, 40)))


def test_inputs_that_fill_a_clip_are_refused():
    model = LiteDiffusion(DiffusionConfig(max_frames=4, weights="random"), CPU)
    with pytest.raises(SceneError, match="no room"):
        model.layouts(fake_scene(inputs=4, size=(32, 32)))


def test_autoencoder_round_trip_of_a_held_out_scene(diffusion, scene):
    again = diffusion.decode(diffusion.encode(scene.target_images))
    assert error(again, scene.target_images) < 10 ** (-2.5)


def test_latents_are_about_standard(diffusion, scene):
    latents = diffusion.encode(scene.target_images)
    assert 0.4 < float(latents.std()) < 2.0
    assert abs(float(latents.mean())) < 0.7


def test_a_walk_from_noise_ends_near_the_truth(diffusion, regression, scene):
    coarse = regression.predict(scene)
    layout = diffusion.layouts(scene)[0]
    frames = torch.stack(
        [(scene.images if s.kind == "input" else coarse.images)[s.index] for s in layout.slots]
    )
    clean = diffusion.encode(frames)
    schedule = diffusion.sampler(4)
    condition = diffusion.condition(scene, coarse, layout, clean, schedule)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    x = schedule.noised(torch.zeros_like(clean), noise, 0)
    ops = DenseExecutor(len(layout))
    for step in range(4):
        denoised = diffusion.denoise(x, step, condition, ops)
        ratio = schedule.sigmas[step + 1] / schedule.sigmas[step]
        x = ratio * x + (1 - ratio) * denoised
    images = diffusion.decode(x[list(layout.targets)])
    nearest = torch.stack([scene.images[0], scene.images[0], scene.images[1]])
    assert error(images, scene.target_images) < error(nearest, scene.target_images)


def test_quality_falls_along_a_blur_ladder(quality):
    scenes = [make_scene(i, split="calibration", targets=1) for i in range(12)]
    photos = torch.cat([scene.target_images for scene in scenes])
    scores = [float(quality.score(photos).mean())]
    for side in (48, 32, 16):
        small = torch.nn.functional.interpolate(photos, (side, side), mode="area")
        blurred = torch.nn.functional.interpolate(small, photos.shape[-2:], mode="bilinear")
        scores.append(float(quality.score(blurred).mean()))
    assert scores == sorted(scores, reverse=True)


def test_what_is_no_picture_scores_below_a_tenth_of_one(quality):
    truth = make_scene(3, split="report", targets=1).target_images
    cells = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    none = {
        "black": torch.zeros_like(truth),
        "one colour": truth.mean((2, 3), keepdim=True).expand_as(truth),
        "blocks": torch.nn.functional.interpolate(cells, truth.shape[-2:], mode="nearest"),
        "noise": torch.rand(truth.shape, generator=torch.Generator().manual_seed(1)),
    }
    tenth = 0.1 * float(quality.score(truth))
    scores = {name: float(quality.score(image)) for name, image in none.items()}
    assert all(0 < score < tenth for score in scores.values()), scores


def test_quality_of_a_render_falls_with_its_opacity(quality, regression, scene):
    coarse = regression.predict(scene)
    sure = quality.score(coarse.images, torch.ones_like(coarse.opacity))
    unsure = quality.score(coarse.images, torch.zeros_like(coarse.opacity))
    assert float(sure.mean()) > float(unsure.mean())


def test_missing_weights_are_one_clear_error(tmp_path):
    with pytest.raises(WeightsError) as caught:
        LiteRegression(RegressionConfig(weights=str(tmp_path)), CPU)
    assert caught.value.hint


def test_a_file_that_is_no_checkpoint_is_one_clear_error(tmp_path):
    (tmp_path / "quality.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="quality"):
        LiteQuality(QualityConfig(weights=str(tmp_path)), CPU)


def test_what_the_models_were_not_trained_for_is_told() -> None:
    scene = make_scene(3, split="calibration")
    assert outside_of_training(scene) == ()
    told = outside_of_training(replace(scene, near=None, far=None))
    assert len(told) == 1
    assert "depth range is unknown" in told[0]
    assert outside_of_training(make_scene(3, split="calibration", size=(192, 192), targets=1)) == ()
    narrow = make_scene(3, split="calibration", size=(32, 96), targets=1)
    (told,) = outside_of_training(narrow)
    assert "trained at 96x96 pixels, the U-Net at 192x192 too, not at 32x96" in told


def test_a_cold_walk_has_the_noise_of_its_temperature_and_the_levels_of_a_warm_one():
    warm = LiteDiffusion(DiffusionConfig(weights="random"), CPU).sampler(12)
    cold = LiteDiffusion(DiffusionConfig(weights="random", temperature=0.25), CPU).sampler(12)
    nothing, one = torch.zeros(2), torch.ones(2)
    assert cold.sigmas == warm.sigmas
    for step in range(13):
        colder = cold.noised(nothing, one, step)
        torch.testing.assert_close(colder, 0.25 * warm.noised(nothing, one, step))


@pytest.mark.parametrize("there", [True, False])
def test_native_precision_is_bfloat16_where_the_processor_has_it(there, monkeypatch):
    monkeypatch.setattr("sphinx_framework_lite.model.has_bfloat16", lambda device: there)
    scene = make_scene(3, split="calibration", size=(32, 32), targets=1)
    coarse = LiteRegression(RegressionConfig(weights="random"), CPU).predict(scene)

    def seen(precision):
        torch.manual_seed(0)
        model = LiteDiffusion(DiffusionConfig(precision=precision), CPU)
        layout = model.layouts(scene)[0]
        frames = torch.stack([scene.images[0], coarse.images[0], scene.images[1]])
        clean = model.encode(frames)
        condition = model.condition(scene, coarse, layout, clean, model.sampler(4))
        return model.denoise(clean, 1, condition, DenseExecutor(3))

    assert torch.equal(seen("native"), seen("bfloat16" if there else "float32"))


@pytest.mark.parametrize(
    "name",
    [
        "depth",
        "autoencoder",
        "denoiser",
        "finisher",
        "quality",
        "likeness",
        "guard",
    ],
)
def test_packaged_weights_say_what_they_were_trained_on_and_their_licence(name):
    path = files("sphinx_framework_lite") / "weights" / f"{name}.safetensors"
    with safe_open(str(path), "pt") as opened:
        said = opened.metadata()
    assert said["licence"] == "Apache-2.0"
    assert {"network", "sources", "training", "pixels"} <= said.keys()
    assert "No posed capture" in said["sources"]
    wears_photographs = name not in ("autoencoder", "quality")
    assert ("CC-BY-2.0" in said["sources"]) == wears_photographs

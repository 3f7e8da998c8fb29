"""The bridge to Stable Video Diffusion on a tiny stock pipeline."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from sphinx_framework.config import config_from_dict
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import CapabilityError, WeightsError
from sphinx_framework.executors.passes import full_pass
from sphinx_framework.protocols import SolverStep
from sphinx_framework.testing.contracts import DiffusionContract
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_diffusers import plugin
from sphinx_framework_diffusers.config import StableVideoConfig
from sphinx_framework_diffusers.levels import StockSampler
from sphinx_framework_diffusers.stable_video import StableVideo

CPU = torch.device("cpu")


def tiny(folder: Path, **options: Any) -> StableVideo:
    return StableVideo(
        StableVideoConfig(weights=str(folder), dtype="float32", clip_frames=6, **options), CPU
    )


class TestStableVideo(DiffusionContract):
    size = (32, 32)
    capabilities = plugin.sphinx_framework_components()[0].capabilities
    asked_steps = range(0, 50, 7)

    @pytest.fixture(autouse=True)
    def _model(self, folder: Path) -> None:
        self.model = tiny(folder)

    def make(self) -> StableVideo:
        return self.model


def test_a_dense_walk_from_noise_is_the_stock_pipelines(stock: Any, folder: Path) -> None:
    model = tiny(folder, image_noise=0.0)
    scene = fake_scene(targets=5, inputs=1, size=(32, 32))
    (layout,) = model.layouts(scene)
    noise = torch.randn(6, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock.set_progress_bar_config(disable=True)
        expected = stock(
            scene.images, height=32, width=32, num_frames=6, num_inference_steps=4,
            noise_aug_strength=0.0, latents=noise[None], output_type="pt",
        ).frames[0]  # fmt: skip
    sampler = model.sampler(4)
    clean = torch.zeros(6, 4, 16, 16)
    condition = model.condition(scene, None, layout, clean, sampler)  # type: ignore[arg-type]
    # The stock pipeline starts at the state noise * sqrt(sigma^2 + 1).
    x = noise * (sampler.sigmas[0] ** 2 + 1) ** 0.5
    for step in range(4):
        denoised = full_pass(model, x, step, condition).answer()
        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=lambda: noise)
        x = sampler.advance(x, denoised, move)
    torch.testing.assert_close(model.decode(x), expected, rtol=1e-3, atol=2e-4)


def test_a_late_start_begins_at_the_renders(folder: Path) -> None:
    config = config_from_dict(
        {
            "name": "bridge",
            "num_steps": 10,
            "pipeline": {
                "regression": {"use": "lite"},
                "diffusion": {
                    "use": "stable-video",
                    "weights": str(folder),
                    "dtype": "float32",
                    "clip_frames": 6,
                },
                "quality": {"use": "lite"},
                "mask": {"use": "opacity-blur"},
                "steps": {"use": "fixed", "start": 40},
            },
            "evidence": {"guard": False},
        }
    )
    engine = Engine.from_config(config, device="cpu")
    result = engine.render(fake_scene(targets=3, size=(32, 32)), mode="fine")
    assert [frame.start_step for frame in result.report.frames] == [8, 8, 8]
    assert [frame.steps_run for frame in result.report.frames] == [2, 2, 2]
    assert torch.isfinite(result.images).all()


def test_a_chunk_is_decoded_at_a_time(folder: Path) -> None:
    latents = torch.randn(6, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    halves = tiny(folder, decode_chunk=3)
    apart = torch.cat([halves.decode(latents[:3]), halves.decode(latents[3:])])
    assert torch.equal(halves.decode(latents), apart)


def test_a_folder_without_a_pipeline_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be loaded") as error:
        tiny(tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("named", ["AWorldModel", None])
def test_a_folder_of_another_pipeline_is_refused_by_its_name(
    folder: Path, tmp_path: Path, named: str | None
) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "_class_name": named}))
    with pytest.raises(WeightsError, match=f"holds a {named}, not a StableVideo"):
        tiny(tmp_path)


def test_a_part_of_another_class_is_refused(folder: Path, tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    shutil.rmtree(changed / "unet")
    UNet2DModel(
        sample_size=8,
        block_out_channels=(32,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    ).save_pretrained(changed / "unet")
    index = json.loads((changed / "model_index.json").read_text())
    index["unet"] = ["diffusers", "UNet2DModel"]
    (changed / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match="is a UNet2DModel, not a UNetSpatioTemporal"):
        tiny(changed)


def test_pickled_weights_are_not_read(folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    for weights in (changed / "unet").glob("*.safetensors"):
        torch.save({}, weights.with_suffix(".bin"))
        weights.unlink()
    with pytest.raises(WeightsError, match="safetensors"):
        tiny(changed)


def test_a_scheduler_without_such_levels_is_refused() -> None:
    from diffusers import DDIMScheduler

    with pytest.raises(CapabilityError, match="DDIMScheduler"):
        StockSampler(DDIMScheduler(), 10)

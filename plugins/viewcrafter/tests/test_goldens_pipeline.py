"""The whole diffusion stage against the authors' run, from a checkpoint file to the video."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from goldens import Golden, golden
from safetensors.torch import save_file
from torch import Tensor

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.protocols import SolverStep
from sphinx_framework_viewcrafter.checkpoint import Networks, build_networks
from sphinx_framework_viewcrafter.conditioning import Condition, joined_context
from sphinx_framework_viewcrafter.config import DiffusionConfig, ViewCrafterConfig
from sphinx_framework_viewcrafter.model import ViewCrafter
from sphinx_framework_viewcrafter.sampler import DdimSampler

CPU = torch.device("cpu")

# With the attention kernels of production, unlike the golden tests of the single networks.
pytestmark = pytest.mark.usefixtures("one_thread")


def config_of(fixture: Golden, weights: Path, upstream: Any, eta: float) -> ViewCrafterConfig:
    config, clip = fixture.info["config"], fixture.info["clip_config"]
    run = fixture.info["run"]
    return ViewCrafterConfig(
        weights=str(weights),
        guidance=run["cfg_scale"],
        guidance_rescale=run["guidance_rescale"],
        eta=eta,
        spacing=run["timestep_spacing"],
        frame_stride=run["frame_stride"],
        diffusion=DiffusionConfig(
            train_steps=config["timesteps"],
            linear_start=config["linear_start"],
            linear_end=config["linear_end"],
            zero_terminal_snr=config["rescale_betas_zero_snr"],
            dynamic_rescale=config["use_dynamic_rescale"],
            base_scale=config["base_scale"],
        ),
        unet=upstream.unet(config["unet_config"]["params"]),
        autoencoder=upstream.autoencoder(
            config["first_stage_config"]["params"]["ddconfig"], config["scale_factor"]
        ),
        image_tower=upstream.image_tower(clip),
        text_tower=upstream.text_tower(clip),
        resampler=upstream.resampler(config["image_proj_stage_config"]["params"]),
    )


@pytest.fixture(scope="module")
def fixture() -> Golden:
    return golden("viewcrafter_pipeline")


@pytest.fixture(scope="module")
def weights(fixture: Golden, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(fixture.under("param/"), path)
    return path


@pytest.fixture(scope="module")
def networks(fixture: Golden, weights: Path, upstream: Any) -> Networks:
    return build_networks(config_of(fixture, weights, upstream, 0.0), CPU)


@pytest.fixture(scope="module")
def schedule(fixture: Golden, weights: Path, upstream: Any) -> DdimSampler:
    model = ViewCrafter(config_of(fixture, weights, upstream, 0.0), CPU)
    return model.sampler(fixture.info["run"]["steps"])


def run_condition(
    fixture: Golden, networks: Networks, upstream: Any, to_rows: Any, schedule: DdimSampler
) -> Condition:
    """The golden run's condition: its own token ids and posterior noise."""
    video = to_rows(fixture.tensors["in/video"])
    text = networks.text_tower(fixture.tensors["in/tokens"].flip(0))
    first = fixture.info["run"]["condition_index"]
    pair = torch.stack([torch.zeros_like(video[first]), video[first]])
    image = networks.resampler(networks.image_tower(pair))
    posterior = networks.autoencoder.posterior(video)
    drawn = posterior.mean + posterior.std * fixture.tensors["in/posterior_noise"]
    context = joined_context(
        text,
        image,
        num_frames=len(video),
        per_frame=image.shape[1] == upstream.queries_per_frame * len(video),
        name="run",
    )
    latents = networks.autoencoder.scale_factor * drawn
    return Condition(latents=latents, context=context, sampler=schedule)


def test_every_conditioning_signal_equals_the_authors(
    fixture: Golden,
    networks: Networks,
    upstream: Any,
    to_rows: Any,
    close: Any,
    schedule: DdimSampler,
) -> None:
    tensors, middle = fixture.tensors, fixture.info["tolerance"]["mid"]
    video = to_rows(tensors["in/video"])[fixture.info["run"]["condition_index"]][None]
    for image, suffix in ((video, ""), (torch.zeros_like(video), "_uncond")):
        tokens = networks.image_tower(image)
        close(tokens, tensors[f"mid/clip_image_tokens{suffix}"], fixture, **middle)
        close(networks.resampler(tokens), tensors[f"mid/image_ctx{suffix}"], fixture, **middle)
    text = networks.text_tower(tensors["in/tokens"])
    expected = torch.cat([tensors["mid/text_ctx"], tensors["mid/text_uncond_ctx"]])
    close(text, expected, fixture, **middle)
    condition = run_condition(fixture, networks, upstream, to_rows, schedule)
    close(condition.latents, tensors["mid/z_cond"], fixture, **middle)


def test_both_branches_of_the_first_step_equal_the_authors(
    fixture: Golden,
    networks: Networks,
    upstream: Any,
    to_rows: Any,
    close: Any,
    schedule: DdimSampler,
) -> None:
    tensors, run = fixture.tensors, fixture.info["run"]
    condition = run_condition(fixture, networks, upstream, to_rows, schedule)
    joined = torch.cat([to_rows(tensors["in/x_T"]), condition.latents], dim=1)
    v = networks.unet(
        joined.repeat(2, 1, 1, 1),
        torch.tensor([schedule.timesteps[0]]),
        torch.tensor([run["frame_stride"]]),
        condition.context,
        DenseExecutor(len(joined)),
    )
    unconditional, conditional = v.chunk(2)
    middle = fixture.info["tolerance"]["mid"]
    close(unconditional, to_rows(tensors["mid/v_uncond_step0"]), fixture, **middle)
    close(conditional, to_rows(tensors["mid/v_cond_step0"]), fixture, **middle)


def test_whole_runs_equal_the_authors(
    fixture: Golden,
    weights: Path,
    networks: Networks,
    upstream: Any,
    to_rows: Any,
    close: Any,
) -> None:
    tensors, steps = fixture.tensors, fixture.info["run"]["steps"]
    etas = [m[1] for m in (re.fullmatch(r"out/eta(.+)_latent_final", key) for key in tensors) if m]
    assert etas
    for eta in etas:
        model = ViewCrafter(config_of(fixture, weights, upstream, float(eta)), CPU)
        grid = model.sampler(steps)
        condition = run_condition(fixture, networks, upstream, to_rows, grid)
        x: Tensor = to_rows(tensors["in/x_T"])
        ops = DenseExecutor(len(x))
        for step in range(steps):
            noise = to_rows(tensors["in/ddim_noise"][step])
            move = SolverStep(step=step, next_step=step + 1, previous=None, draw=lambda n=noise: n)
            x = grid.advance(x, model.denoise(x, step, condition, ops), move)
            expected = tensors.get(f"out/eta{eta}_latent_step{step}")
            if expected is not None:
                close(x, to_rows(expected), fixture)
        close(x, to_rows(tensors[f"out/eta{eta}_latent_final"]), fixture)
        video = tensors.get(f"out/eta{eta}_video")
        if video is not None:
            # Stored without its batch axis: [3 T H W].
            images = (video.transpose(0, 1).clamp(-1, 1) + 1) / 2
            close(model.decode(x), images, fixture)

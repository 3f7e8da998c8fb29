"""Each diffusion plugin's network with one clip of its official size, on any device.

On the meta device nothing is computed: for counting. On a real one, weights are random and made
there: for timing. ``tiny`` builds the same blocks small, to rehearse a timing on a CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.study.step_costs import Subject

STEP = 25  # of 50: half-way down the noise schedule


@dataclass(frozen=True, slots=True)
class FullSize:
    """A clip ready to be denoised, and the network behind it.

    skips: whether a step can leave out frames or tiles.
    """

    name: str
    subject: Subject
    network: nn.Module
    precision: str
    skips: bool = True


def filled(network: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """Random weights of unit gain, made on the device; on the meta device only their shapes."""
    # A stock network's own `to` has something to say about every cast.
    network = nn.Module.to(network, dtype=dtype).to_empty(device=device)
    network = network.eval().requires_grad_(False)
    if device.type == "meta":
        return network
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for buffer in network.buffers():
            buffer.zero_()
        for module in network.modules():
            norm = isinstance(module, nn.GroupNorm | nn.LayerNorm)
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim > 1:
                    parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
                else:
                    parameter.fill_(1.0 if norm and name == "weight" else 0.0)
    return network


def seva(
    device: torch.device,
    *,
    tiny: bool = False,
    channels_last: bool = False,
    latents: tuple[int, int, int] | None = None,
) -> FullSize:
    """SEVA: 21 frames of 576x576 pixels, two inputs, both guidance branches, bfloat16.

    latents: frames, height and width of the clip, if they are to be others.
    """
    from sphinx_framework_seva.conditioning import assembled
    from sphinx_framework_seva.config import SevaConfig
    from sphinx_framework_seva.model import SevaModel
    from sphinx_framework_seva.network import UNet
    from sphinx_framework_seva.noise_levels import noise_levels
    from sphinx_framework_seva.sampler import SevaSampler

    small = {
        "dtype": "float32",
        "model_channels": 64,
        "channel_mult": (1, 1),
        "attention_resolutions": (2, 1),
        "context_dim": 64,
        "num_res_blocks": 1,
    }
    config = SevaConfig.model_validate(small if tiny else {"dtype": "bfloat16"})
    frames, height, width = latents or ((5, 4, 4) if tiny else (21, 72, 72))
    with torch.device("meta"):
        network = UNet(config)
    filled(network, getattr(torch, config.dtype), device)
    if channels_last and device.type != "meta":
        network.use_channels_last()
    sampler = SevaSampler(noise_levels(), 50, solver="euler", step_noise=False)
    clean = _noise(device, frames, 4, height, width)
    given = torch.zeros(frames, dtype=torch.bool, device=device)
    given[:: frames - 1] = True
    condition = assembled(
        clean=clean,
        sampler=sampler,
        is_input=given,
        embeddings=_noise(device, 1, config.context_dim),
        pluecker=_noise(device, frames, 6, height, width),
        scale=torch.full((frames,), 2.0, device=device),
    )
    shell = SimpleNamespace(network=network, config=config)
    guided = partial(SevaModel.denoise_guided, shell)
    model = Denoiser(partial(SevaModel.denoise, shell), config.coarsest, guided)
    x = clean + sampler.sigmas[STEP] * _noise(device, *clean.shape)
    return _full_size("seva", model, x, condition, network, config.dtype)


def viewcrafter(
    device: torch.device, *, tiny: bool = False, latents: tuple[int, int, int] | None = None
) -> FullSize:
    """ViewCrafter: 25 frames of 576x1024 pixels, both guidance branches, float16."""
    from sphinx_framework_viewcrafter.blocks import Context
    from sphinx_framework_viewcrafter.conditioning import Condition
    from sphinx_framework_viewcrafter.config import ViewCrafterConfig
    from sphinx_framework_viewcrafter.guidance import Guidance
    from sphinx_framework_viewcrafter.model import ViewCrafter
    from sphinx_framework_viewcrafter.network import UNet
    from sphinx_framework_viewcrafter.sampler import DdimSampler
    from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule

    small = {
        "dtype": "float32",
        "unet": {
            "model_channels": 64,
            "head_channels": 32,
            "context_dim": 64,
            "num_res_blocks": 1,
            "channel_mult": (1, 1),
            "attention_resolutions": (1, 2),
        },
        "text_tower": {"width": 64, "heads": 4},
        "resampler": {"output_dim": 64},
    }
    config = ViewCrafterConfig.model_validate(small if tiny else {"dtype": "float16"})
    frames, height, width = latents or ((5, 4, 6) if tiny else (25, 72, 128))
    with torch.device("meta"):
        network = UNet(config.unet)
    dtype: torch.dtype = getattr(torch, config.dtype)
    filled(network, dtype, device)
    guidance = Guidance(config.guidance, config.guidance_rescale, 4).requires_grad_(False)
    sampler = DdimSampler(
        50, TrainingSchedule.from_config(config.diffusion), eta=config.eta,
        spacing=config.spacing, final=config.final,
    )  # fmt: skip
    tokens = config.resampler.num_queries * config.resampler.video_length
    wide = config.unet.context_dim
    context = Context(
        text=_noise(device, 2, config.text_tower.context_length, wide).to(dtype),
        image=_noise(device, 2, tokens, wide).to(dtype),
        name="input0",
    )
    latents = _noise(device, frames, 4, height, width)
    condition = Condition(latents=latents.to(dtype), context=context, sampler=sampler)
    shell = SimpleNamespace(
        _branches=2, _dtype=dtype, _networks=SimpleNamespace(unet=network), config=config,
        _guidance=guidance.to(device),
    )  # fmt: skip
    tile, guided = (
        2 ** (len(config.unet.channel_mult) - 1),
        partial(ViewCrafter.denoise_guided, shell),
    )
    model = Denoiser(partial(ViewCrafter.denoise, shell), tile, guided)
    x = sampler.noised(latents, _noise(device, *latents.shape), STEP)
    return _full_size("viewcrafter", model, x, condition, network, config.dtype)


def videoscene(device: torch.device, *, tiny: bool = False, layers: int | None = None) -> FullSize:
    """VideoScene: 49 frames of 480x720 pixels in 13 latent frames, no guidance, bfloat16.

    layers: of its 42, which are all alike.
    """
    from sphinx_framework.weights import ensure_torchvision_imports
    from sphinx_framework_videoscene.config import VideoSceneConfig, tiny_config
    from sphinx_framework_videoscene.model import Condition, VideoScene
    from sphinx_framework_videoscene.sampler import LeapSampler, trailing_timesteps
    from sphinx_framework_videoscene.transformer import VideoTransformer

    ensure_torchvision_imports()
    config = tiny_config() if tiny else VideoSceneConfig()
    sizes, dtype = config.transformer, getattr(torch, config.dtype)
    sizes = sizes.model_copy(update={"num_layers": layers or sizes.num_layers})
    with torch.device("meta"):
        network = VideoTransformer(sizes)
    filled(network, dtype, device)
    text = _noise(device, 1, sizes.max_text_seq_length, sizes.text_embed_dim).to(dtype)
    frames = network.grid[0]
    shape = (frames, sizes.out_channels, sizes.sample_height, sizes.sample_width)
    sampler = LeapSampler(trailing_timesteps(50), config.solver)
    condition = Condition(latents=_noise(device, *shape), sampler=sampler)
    shell = SimpleNamespace(
        _dtype=dtype, _networks=SimpleNamespace(transformer=network, text=text), config=config
    )
    model = Denoiser(partial(VideoScene.denoise, shell), sizes.patch_size)
    x = _noise(device, *shape)
    return _full_size("videoscene", model, x, condition, network, config.dtype)


def stable_video(device: torch.device, *, tiny: bool = False) -> FullSize:
    """diffusers' own Stable Video Diffusion: 25 frames of 576x1024 pixels, two runs, float16."""
    from sphinx_framework.weights import ensure_torchvision_imports
    from sphinx_framework_diffusers.config import StableVideoConfig
    from sphinx_framework_diffusers.levels import StockSampler
    from sphinx_framework_diffusers.stable_video import Condition, StableVideo

    ensure_torchvision_imports()
    from diffusers import EulerDiscreteScheduler, UNetSpatioTemporalConditionModel

    # The class's defaults are the sizes of the published network.
    small = {
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        "cross_attention_dim": 16,
        "num_attention_heads": 4,
        "projection_class_embeddings_input_dim": 24,
        "addition_time_embed_dim": 8,
    }
    config = StableVideoConfig(dtype="float32" if tiny else "float16")
    dtype: torch.dtype = getattr(torch, config.dtype)
    with torch.device("meta"):
        network = UNetSpatioTemporalConditionModel(**(small if tiny else {}))
    filled(network, dtype, device)
    sampler = StockSampler(
        EulerDiscreteScheduler(
            beta_schedule="scaled_linear", prediction_type="v_prediction", use_karras_sigmas=True,
            sigma_min=0.002, sigma_max=700.0, timestep_type="continuous",
        ),
        50,
    )  # fmt: skip
    frames, height, width = (4, 8, 8) if tiny else (config.clip_frames, 72, 128)
    guidance = torch.linspace(config.min_guidance, config.max_guidance, frames, device=device)
    condition = Condition(
        latents=_noise(device, 4, height, width),
        embedding=_noise(device, 1, 1, network.config.cross_attention_dim),
        guidance=guidance.view(-1, 1, 1, 1),
        sampler=sampler,
    )
    shell = SimpleNamespace(
        config=config, _dtype=dtype, _parts=SimpleNamespace(unet=network), _predicted=None
    )
    shell._predicted = partial(StableVideo._predicted, shell)
    levels = len(network.config.block_out_channels)
    model = Denoiser(partial(StableVideo.denoise, shell), 2 ** (levels - 1))
    x = _noise(device, frames, 4, height, width)
    made = _full_size("stable-video", model, x, condition, network, config.dtype)
    return replace(made, skips=False)


def lite(device: torch.device, *, tiny: bool = False) -> FullSize:
    """The embedded model: 8 frames of 96x96 pixels, no guidance, float32."""
    from sphinx_framework_lite.autoencoder import LATENT_CHANNELS, LATENT_FACTOR
    from sphinx_framework_lite.config import DiffusionConfig
    from sphinx_framework_lite.denoiser import CONDITION_CHANNELS, LiteCondition
    from sphinx_framework_lite.denoiser import Denoiser as Network
    from sphinx_framework_lite.model import LiteDiffusion

    config = DiffusionConfig()
    network = Network()
    deviation = network.deviation
    filled(network, torch.float32, device)
    network.deviation = deviation.to(device)
    frames, side = 8, (64 if tiny else 96) // LATENT_FACTOR
    base = _noise(device, frames, LATENT_CHANNELS, side, side)
    given = torch.zeros(frames, dtype=torch.bool, device=device)
    given[:: frames - 1] = True
    condition = LiteCondition(
        base=base,
        maps=_noise(device, frames, CONDITION_CHANNELS, side, side),
        given=given,
        sigmas=tuple(8.0 * 0.8**step for step in range(51)),
    )
    shell = SimpleNamespace(_config=config, _denoiser=network, _half=False)
    model = Denoiser(partial(LiteDiffusion.denoise, shell), LiteDiffusion.tile)
    return _full_size("lite", model, base.clone(), condition, network, "float32")


SUBJECTS: dict[str, Callable[..., FullSize]] = {
    "lite": lite,
    "seva": seva,
    "viewcrafter": viewcrafter,
    "videoscene": videoscene,
    "stable-video": stable_video,
}


@dataclass(frozen=True, slots=True)
class Denoiser:
    """The part of a diffusion model that a step runs: the plugin's own ``denoise``."""

    denoise: Callable[..., Tensor]
    tile: int
    denoise_guided: Callable[..., tuple[Tensor, Tensor]] | None = None


def _full_size(
    name: str, model: Denoiser, x: Tensor, condition: Any, network: nn.Module, precision: str
) -> FullSize:
    """The first and last frame are inputs."""
    subject = Subject(
        model=model,
        x=x,
        targets=tuple(range(1, len(x) - 1)),
        step=STEP,
        condition=condition,
        cache=LatentCache(),
    )
    return FullSize(name, subject, network, precision)


def _noise(device: torch.device, *shape: int) -> Tensor:
    return torch.randn(*shape, device=device)

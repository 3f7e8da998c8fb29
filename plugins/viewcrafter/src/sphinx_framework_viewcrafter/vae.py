"""The Stable-Diffusion KL autoencoder, per frame: diffusers' layers under the checkpoint's keys."""

import re
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.weights import library
from sphinx_framework_viewcrafter.config import AutoencoderConfig

# diffusers' names, and those of the training code, in this order.
OFFICIAL_NAMES = (
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
    ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
    ("mid_block.attentions.0.to_", "mid.attn_1."),
    ("down_blocks.", "down."),
    ("up_blocks.", "up."),
    ("resnets.", "block."),
    ("conv_shortcut", "nin_shortcut"),
    ("downsamplers.0", "downsample"),
    ("upsamplers.0", "upsample"),
    ("conv_norm_out", "norm_out"),
)
PROJECTION = re.compile(r"attn_1\.(q|k|v|proj_out)\.weight$")
NETWORK = "network."


class Autoencoder(nn.Module):
    """Images in [-1, 1] to latents and back, frame by frame.

    ``state_dict`` and ``load_state_dict`` speak the checkpoint's names and shapes.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.scale_factor = config.scale_factor
        self._levels = len(config.channel_mult)
        diffusers = library("diffusers", what="viewcrafter", install="diffusers")
        self.network: Any = diffusers.AutoencoderKL(
            block_out_channels=tuple(mult * config.channels for mult in config.channel_mult),
            down_block_types=("DownEncoderBlock2D",) * self._levels,
            up_block_types=("UpDecoderBlock2D",) * self._levels,
            layers_per_block=config.num_res_blocks,
            latent_channels=config.latent_channels,
        )
        self.register_state_dict_post_hook(_to_official)
        self.register_load_state_dict_pre_hook(_from_official)

    def posterior(self, images: Float[Tensor, "V 3 H W"]) -> Any:
        """Gaussian (``mean``, ``std``, ``logvar``) of the unscaled latents of images in [-1, 1]."""
        return self.network.encode(images).latent_dist

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Images, about [-1, 1] and not clamped, of scaled latents."""
        images: Tensor = self.network.decode(latents / self.scale_factor).sample
        return images

    def official_name(self, key: str) -> str:
        """The checkpoint's name of a parameter of :attr:`network`."""
        for theirs, official in OFFICIAL_NAMES:
            key = key.replace(theirs, official)
        # The training code counts the decoder's levels from the finest one, diffusers down to it.
        return re.sub(r"up\.(\d+)", lambda level: f"up.{self._levels - 1 - int(level[1])}", key)


def _to_official(
    module: Autoencoder, state: dict[str, Tensor], prefix: str, metadata: Mapping[str, Any]
) -> None:
    inside = prefix + NETWORK
    for key in [key for key in state if key.startswith(inside)]:
        name, value = module.official_name(key.removeprefix(inside)), state.pop(key)
        # The checkpoint's attention projects by convolutions of one cell, diffusers' by layers.
        state[prefix + name] = value[:, :, None, None] if PROJECTION.search(name) else value


def _from_official(
    module: Autoencoder, state: dict[str, Tensor], prefix: str, *rest: object
) -> None:
    for key, _ in module.network.named_parameters():
        name = module.official_name(key)
        value = state.pop(prefix + name, None)
        if value is not None:
            projection = PROJECTION.search(name)
            state[prefix + NETWORK + key] = value.flatten(1) if projection else value

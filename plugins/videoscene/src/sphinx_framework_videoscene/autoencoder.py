"""CogVideoX's video autoencoder, from diffusers: clips to latents and back, without sampling."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework_videoscene.config import AutoencoderConfig
from sphinx_framework_videoscene.library import diffusers

Posterior = tuple[Float[Tensor, "T C h w"], Float[Tensor, "T C h w"]]


class VideoAutoencoder(nn.Module):
    """A clip of ``1 + 4 k`` frames is ``1 + k`` latents; its first frame has one of its own."""

    def __init__(self, config: AutoencoderConfig, *, tiling: bool) -> None:
        super().__init__()
        levels = len(config.block_out_channels)
        self.scale = config.scaling_factor
        self.network = diffusers("AutoencoderKLCogVideoX")(
            **config.model_dump(),
            down_block_types=("CogVideoXDownBlock3D",) * levels,
            up_block_types=("CogVideoXUpBlock3D",) * levels,
        )
        if tiling:
            self.network.enable_tiling()

    def posterior(self, images: Float[Tensor, "S 3 H W"]) -> Posterior:
        """Mean and deviation of a clip's latents, unscaled; images in [0, 1]."""
        clip = (2 * images - 1).to(self.network.dtype).transpose(0, 1)[None]
        found = self.network.encode(clip).latent_dist
        return found.mean[0].transpose(0, 1).float(), found.std[0].transpose(0, 1).float()

    def encode(self, images: Float[Tensor, "S 3 H W"]) -> Float[Tensor, "T C h w"]:
        """Scaled posterior means of a clip."""
        return self.scale * self.posterior(images)[0]

    def decode(self, latents: Float[Tensor, "T C h w"]) -> Float[Tensor, "S 3 H W"]:
        """Frames of scaled latents, in [-1, 1] up to overshoot."""
        clip = (latents / self.scale).to(self.network.dtype).transpose(0, 1)[None]
        frames: Tensor = self.network.decode(clip).sample
        return frames[0].transpose(0, 1).float()


def noisy(image: Float[Tensor, "1 3 H W"], sigma: float, seed: int) -> Float[Tensor, "1 3 H W"]:
    """A photo in [0, 1] with noise of ``sigma`` in units of [-1, 1], always the same draw.

    The network was trained on condition photos with a little noise.
    """
    if sigma == 0:
        return image
    draw = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return image + (sigma / 2) * draw.to(image)

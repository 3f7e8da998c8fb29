"""A deterministic autoencoder, 4x4 pixels to one latent cell of 12 channels.

Latents are standardised per channel with running statistics, so that noise levels of the
diffusion model mean the same in every channel.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_lite.blocks import ResidualBlock

LATENT_CHANNELS = 12
LATENT_FACTOR = 4


class RunningStandard(nn.Module):
    """Standardises channels with running statistics, in training too.

    Statistics of a batch would hide each image's own brightness from the decoder.
    """

    def __init__(self, channels: int, momentum: float = 0.03) -> None:
        super().__init__()
        self.momentum = momentum
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V C h w"]:
        if self.training:
            with torch.no_grad():
                deviation, mean = torch.std_mean(x, dim=(0, 2, 3))
                self.mean.lerp_(mean, self.momentum)
                self.deviation.lerp_(deviation, self.momentum)
        return (x - self.mean[:, None, None]) / self.deviation[:, None, None]


class Autoencoder(nn.Module):
    """Encoder and decoder; both are convolutional, so any size that is a multiple of 4 works."""

    def __init__(self, shallow: int = 32, deep: int = 64, decoder: int = 96) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, shallow, 3, padding=1),
            ResidualBlock(shallow),
            ResidualBlock(shallow),
            nn.Conv2d(shallow, deep, 3, stride=2, padding=1),
            ResidualBlock(deep),
            ResidualBlock(deep),
            nn.GroupNorm(8, deep),
            nn.SiLU(),
            nn.Conv2d(deep, LATENT_CHANNELS, 3, padding=1),
        )
        self.standard = RunningStandard(LATENT_CHANNELS)
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, decoder, 3, padding=1),
            ResidualBlock(decoder),
            ResidualBlock(decoder),
            ResidualBlock(decoder),
            nn.Conv2d(decoder, 4 * shallow, 3, padding=1),
            nn.PixelShuffle(2),
            ResidualBlock(shallow),
            ResidualBlock(shallow),
            nn.GroupNorm(8, shallow),
            nn.SiLU(),
            nn.Conv2d(shallow, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Images in [0, 1] to latents of about zero mean and unit variance."""
        z: Tensor = self.standard(self.encoder(images * 2 - 1).float())
        return z

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Latents to images, not clamped."""
        out: Tensor = self.decoder(latents)
        return out.float() * 0.5 + 0.5

    def forward(
        self, images: Float[Tensor, "V 3 H W"], noise: Float[Tensor, "V C h w"] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Round trip of a training batch; returns the images and the latents."""
        latents = self.encode(images)
        return self.decode(latents if noise is None else latents + noise), latents


def gradient_l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical differences."""
    error = a - b
    return functional.l1_loss(error[..., 1:], error[..., :-1]) + functional.l1_loss(
        error[..., 1:, :], error[..., :-1, :]
    )

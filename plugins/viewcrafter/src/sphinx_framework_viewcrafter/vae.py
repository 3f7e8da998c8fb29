"""The Stable-Diffusion KL autoencoder, per frame (spec section 3); keys equal the checkpoint's."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_viewcrafter.config import AutoencoderConfig

NORM_GROUPS = 32
NORM_EPS = 1e-6
LOGVAR_RANGE = (-30.0, 20.0)
IMAGE_CHANNELS = 3


def norm(channels: int) -> nn.GroupNorm:
    """The autoencoder's group norm."""
    return nn.GroupNorm(NORM_GROUPS, channels, eps=NORM_EPS)


class ResnetBlock(nn.Module):
    """Two convolutions with a shortcut; no time embedding."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = norm(channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.nin_shortcut = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V D h w"]:
        y = self.conv1(functional.silu(self.norm1(x)))
        y = self.conv2(functional.silu(self.norm2(y)))
        shortcut = self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x
        out: Tensor = shortcut + y
        return out


class Attention(nn.Module):
    """Single-head self-attention over the cells of a frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V C h w"]:
        y = self.norm(x)
        q, k, v = (
            layer(y).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)
        out: Tensor = x + self.proj_out(mixed.unflatten(2, x.shape[2:]))
        return out


class Middle(nn.Module):
    """The coarsest level: residual block, attention, residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels)
        self.attn_1 = Attention(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V C h w"]:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Downsample(nn.Module):
    """Strided convolution with zeros appended on the right and at the bottom only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V C i j"]:
        out: Tensor = self.conv(functional.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Nearest-neighbour doubling and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V C i j"]:
        out: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Level(nn.Module):
    """The residual blocks of one resolution and, but for the last one, the change of it."""

    def __init__(self, widths: list[int], resample: str = "") -> None:
        super().__init__()
        self.block = nn.ModuleList([ResnetBlock(a, b) for a, b in pairwise(widths)])
        self.resample = resample
        if resample:
            change = Downsample if resample == "downsample" else Upsample
            self.add_module(resample, change(widths[-1]))

    def forward(self, x: Float[Tensor, "V C h w"]) -> Float[Tensor, "V D i j"]:
        for block in self.block:
            x = block(x)
        if self.resample:
            x = self.get_submodule(self.resample)(x)
        return x


class Encoder(nn.Module):
    """Images to the moments of the posterior, before ``quant_conv``."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = [mult * config.channels for mult in config.channel_mult]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(IMAGE_CHANNELS, config.channels, 3, padding=1)
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[level - 1] if level else config.channels
            self.down.append(
                Level(
                    [before] + [width] * config.num_res_blocks,
                    "downsample" if level < last else "",
                )
            )
        self.mid = Middle(widths[-1])
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        out: Tensor = self.conv_out(functional.silu(self.norm_out(self.mid(x))))
        return out


class Decoder(nn.Module):
    """Latents to images; ``up`` is indexed by resolution, 0 is the finest."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = [mult * config.channels for mult in config.channel_mult]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(config.latent_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[level + 1] if level < last else widths[-1]
            self.up.append(
                Level(
                    [before] + [width] * (config.num_res_blocks + 1),
                    "upsample" if level else "",
                )
            )
        self.norm_out = norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], IMAGE_CHANNELS, 3, padding=1)

    def forward(self, z: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        x = self.mid(self.conv_in(z))
        for level in reversed(list(self.up)):
            x = level(x)
        out: Tensor = self.conv_out(functional.silu(self.norm_out(x)))
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Diagonal Gaussian over unscaled latents."""

    mean: Float[Tensor, "V C h w"]
    logvar: Float[Tensor, "V C h w"]

    def sample(self, noise: Float[Tensor, "V C h w"]) -> Float[Tensor, "V C h w"]:
        """``mean + exp(logvar / 2) * noise``."""
        return self.mean + torch.exp(0.5 * self.logvar) * noise


class Autoencoder(nn.Module):
    """Images in [-1, 1] to latents and back, frame by frame."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        latent = config.latent_channels
        self.scale_factor = config.scale_factor
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)

    def posterior(self, images: Float[Tensor, "V 3 H W"]) -> Posterior:
        """The posterior of images in [-1, 1]."""
        mean, logvar = self.quant_conv(self.encoder(images)).chunk(2, dim=1)
        return Posterior(mean=mean, logvar=logvar.clamp(*LOGVAR_RANGE))

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Images, about [-1, 1] and not clamped, of scaled latents."""
        out: Tensor = self.decoder(self.post_quant_conv(latents / self.scale_factor))
        return out

"""The U-Net, with the keys of the released checkpoints."""

import math
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.nn import Conv2d, Downsample, GroupNorm, Upsample, bind_sites
from sphinx_framework.protocols import Executor
from sphinx_framework_seva.blocks import ResBlock
from sphinx_framework_seva.config import GROUPS, Architecture
from sphinx_framework_seva.signals import Signals
from sphinx_framework_seva.transformer import MultiviewTransformer


def sinusoidal_embedding(steps: Int[Tensor, " n"], channels: int) -> Float[Tensor, "n channels"]:
    """Cosines first, then sines, in float32; an odd size ends with a zero column."""
    half = channels // 2
    ramp = torch.arange(half, dtype=torch.float32, device=steps.device)
    frequencies = torch.exp(-math.log(10000) * ramp / half)
    angles = steps[:, None].float() * frequencies
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=-1), (0, channels % 2))


def resized(maps: Float[Tensor, "T P h w"], size: tuple[int, int]) -> Float[Tensor, "T P i j"]:
    """Pluecker maps of a level: bilinear with aligned corners."""
    if size == tuple(maps.shape[2:]):
        return maps
    return F.interpolate(maps.float(), size, mode="bilinear", align_corners=True).to(maps.dtype)


class Stage(nn.ModuleList):
    """Layers that run one after the other: one numbered element of the U-Net."""

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R D i j"]:
        for layer in self:
            x = layer(x, ops) if isinstance(layer, Conv2d) else layer(x, signals, ops)
        return x


class UNet(nn.Module):
    """Predicts the noise of every frame of a clip, jointly; any number of frames."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.memory_format = torch.contiguous_format
        width = architecture.model_channels
        self.time_channels = 4 * width
        self.time_embed = nn.Sequential(
            nn.Linear(width, self.time_channels),
            nn.SiLU(),
            nn.Linear(self.time_channels, self.time_channels),
        )
        widths = self._build_encoder()
        self._build_middle(widths[-1])
        self._build_decoder(widths)
        self.out = nn.ModuleList(
            [
                GroupNorm(GROUPS, width, eps=1e-5),
                nn.SiLU(),
                Conv2d(width, architecture.out_channels, 3, padding=1),
            ]
        )
        bind_sites(self)

    def forward(
        self,
        x: Float[Tensor, "R C a b"],
        steps: Int[Tensor, " n"],
        context: Float[Tensor, "gT m D"],
        dense: Float[Tensor, "dT P h w"],
        ops: Executor,
        *,
        branches: int = 2,
        keep_modulations: bool = True,
    ) -> Float[Tensor, "R E a b"]:
        """Network prediction (noise) of the held rows.

        Args:
            x: scaled latents, mask and Pluecker channels.
            steps: index of the noise level, one for all rows, or one per frame and branch.
            context: image-embedding tokens per frame and branch.
            dense: Pluecker maps of all frames at full latent resolution, shared by the branches.
            ops: what gives access to other frames and pixels.
            branches: guidance branches stacked in the rows.
            keep_modulations: see :class:`Signals`.
        """
        time = sinusoidal_embedding(steps, self.architecture.model_channels)
        time = self.time_embed(time.to(x.dtype))
        signals = Signals(
            time=time if len(steps) == 1 else ops.rows(time),
            context=context,
            leading=_first_of_each_branch(context, branches),
            dense=self._pyramid(dense, ops),
            keep_modulations=keep_modulations,
        )
        skips = []
        for stage in self.input_blocks:
            x = stage(x, signals, ops)
            skips.append(x)
        x = self.middle_block(x, signals, ops)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), signals, ops)
        out: Tensor = self.out[2](F.silu(self.out[0](x, ops)), ops)
        return out

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in."""
        return next(self.parameters()).dtype

    def use_channels_last(self) -> None:
        """Keep weights and activations of convolutions in channels-last layout."""
        self.memory_format = torch.channels_last
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def _pyramid(self, dense: Tensor, ops: Executor) -> dict[int, Tensor]:
        """Pluecker maps at every level, resized once per request."""
        height, width = dense.shape[2:]
        factors = [2**level for level in range(len(self.architecture.channel_mult))]
        return {
            factor: ops.constant(
                f"pluecker.{factor}", partial(resized, dense, (height // factor, width // factor))
            )
            for factor in factors
        }

    def _build_encoder(self) -> list[int]:
        """Returns the channels of every stage's output, for the decoder's skips."""
        sizes = self.architecture
        channels = sizes.model_channels
        first = Conv2d(sizes.in_channels, channels, 3, padding=1)
        stages: list[nn.Module] = [Stage([first])]
        widths = [channels]
        for level, mult in enumerate(sizes.channel_mult):
            for _ in range(sizes.num_res_blocks):
                layers = [self._residual(channels, mult * sizes.model_channels, level)]
                channels = mult * sizes.model_channels
                layers += self._transformer(channels, "input", level)
                stages.append(Stage(layers))
                widths.append(channels)
            if 2**level < sizes.coarsest:
                stages.append(Stage([Downsample(channels)]))
                widths.append(channels)
        self.input_blocks = nn.ModuleList(stages)
        return widths

    def _build_middle(self, channels: int) -> None:
        level = len(self.architecture.channel_mult) - 1
        self.middle_block = Stage(
            [
                self._residual(channels, channels, level),
                *self._transformer(channels, "middle", level),
                self._residual(channels, channels, level),
            ]
        )

    def _build_decoder(self, widths: list[int]) -> None:
        sizes = self.architecture
        channels = widths[-1]
        skips = list(widths)
        stages: list[nn.Module] = []
        for level, mult in reversed(list(enumerate(sizes.channel_mult))):
            for position in range(sizes.num_res_blocks + 1):
                inside = mult * sizes.model_channels
                layers = [self._residual(channels + skips.pop(), inside, level)]
                channels = inside
                layers += self._transformer(channels, "output", level)
                if level > 0 and position == sizes.num_res_blocks:
                    layers.append(Upsample(channels))
                stages.append(Stage(layers))
        self.output_blocks = nn.ModuleList(stages)

    def _residual(self, channels: int, out_channels: int, level: int) -> nn.Module:
        dense_channels = self.architecture.dense_in_channels
        return ResBlock(channels, out_channels, self.time_channels, dense_channels, 2**level)

    def _transformer(self, channels: int, part: str, level: int) -> list[nn.Module]:
        """One transformer, or nothing where the level has none (the middle always has one)."""
        sizes = self.architecture
        if part != "middle" and 2**level not in sizes.attention_resolutions:
            return []
        return [
            MultiviewTransformer(
                channels,
                channels // sizes.num_head_channels,
                sizes.num_head_channels,
                sizes.context_dim,
                depth=sizes.depths[level],
                clip_wide=f"{part}_ds{2**level}" in sizes.clip_wide,
            )
        ]


def _first_of_each_branch(
    context: Float[Tensor, "gT m D"], branches: int
) -> Float[Tensor, "gT m D"]:
    """Every frame gets the context of its branch's first frame."""
    per_branch = context.unflatten(0, (branches, -1))
    return per_branch[:, :1].expand_as(per_branch).flatten(0, 1)

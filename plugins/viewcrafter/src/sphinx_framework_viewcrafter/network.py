"""The 3-D U-Net, written once for all executors; keys equal the checkpoint's."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sphinx_framework.nn import Conv2d, Downsample, Upsample, bind_sites
from sphinx_framework.protocols import Executor
from sphinx_framework_viewcrafter.blocks import (
    Context,
    NormSiluConv,
    ResBlock,
    Signals,
    group_norm,
)
from sphinx_framework_viewcrafter.config import UNetConfig
from sphinx_framework_viewcrafter.transformers import (
    InitialTemporalTransformer,
    SpatialTransformer,
    TemporalTransformer,
)

MAX_PERIOD = 10000.0
EMBEDDING_MULT = 4


class Stage(nn.ModuleList):
    """The modules of one entry of the checkpoint's block lists, run in order."""

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R D i j"]:
        for block in self:
            x = block(x, ops) if isinstance(block, Conv2d) else block(x, signals, ops)
        return x


class UNet(nn.Module):
    """Predicts ``v`` from noisy and condition latents, time, frame rate and context."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.model_channels
        embedding = EMBEDDING_MULT * width
        self.time_embed = embedding_mlp(width, embedding)
        self.fps_embedding = embedding_mlp(width, embedding)
        self.init_attn = Stage(
            [InitialTemporalTransformer(width, config.head_channels, config.transformer_depth)]
        )
        first = Stage([Conv2d(config.in_channels, width, 3, padding=1)])
        self.input_blocks = nn.ModuleList([first])
        skips = [width]
        channels = self._build_down(embedding, skips)
        self.middle_block = Stage(
            [
                ResBlock(channels, embedding, channels),
                *self._transformers(channels),
                ResBlock(channels, embedding, channels),
            ]
        )
        self.output_blocks = nn.ModuleList()
        self._build_up(channels, embedding, skips)
        self.out = NormSiluConv(
            group_norm(width), Conv2d(width, config.out_channels, 3, padding=1), "2"
        )
        bind_sites(self)

    def forward(
        self,
        x: Float[Tensor, "R C a b"],
        timesteps: Int[Tensor, " g"],
        frame_stride: Int[Tensor, " g"],
        context: Context,
        ops: Executor,
    ) -> Float[Tensor, "R D a b"]:
        """Predict ``v``.

        Args:
            x: noisy latents and condition latents, concatenated on channels.
            timesteps: training steps, one for all rows or one per guidance branch.
            frame_stride: frame rate condition, likewise.
            context: text and image tokens.
            ops: the executor.
        """
        width, dtype = self.config.model_channels, x.dtype
        time = self.time_embed(sinusoids(timesteps, width).to(dtype))
        rate = self.fps_embedding(sinusoids(frame_stride, width).to(dtype))
        signals = Signals(embedding=time + rate, context=context)
        skips: list[Tensor] = []
        for index, stage in enumerate(self.input_blocks):
            x = stage(x, signals, ops)
            if index == 0:
                x = self.init_attn(x, signals, ops)
            skips.append(x)
        x = self.middle_block(x, signals, ops)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), signals, ops)
        out: Tensor = self.out(x, ops)
        return out

    def _build_down(self, embedding: int, skips: list[int]) -> int:
        """Append the input blocks; record the channels of every skip in ``skips``."""
        config, channels, factor = self.config, self.config.model_channels, 1
        for level, mult in enumerate(config.channel_mult):
            for _ in range(config.num_res_blocks):
                out = mult * config.model_channels
                self.input_blocks.append(
                    Stage([ResBlock(channels, embedding, out), *self._transformers_at(factor, out)])
                )
                channels = out
                skips.append(channels)
            if level + 1 < len(config.channel_mult):
                self.input_blocks.append(Stage([Downsample(channels)]))
                skips.append(channels)
                factor *= 2
        return channels

    def _build_up(self, channels: int, embedding: int, skips: list[int]) -> None:
        """Append the output blocks, each consuming one skip."""
        config = self.config
        levels = list(enumerate(config.channel_mult))
        for level, mult in reversed(levels):
            for index in range(config.num_res_blocks + 1):
                out = mult * config.model_channels
                blocks: list[nn.Module] = [
                    ResBlock(channels + skips.pop(), embedding, out),
                    *self._transformers_at(2**level, out),
                ]
                if level > 0 and index == config.num_res_blocks:
                    blocks.append(Upsample(out))
                self.output_blocks.append(Stage(blocks))
                channels = out

    def _transformers_at(self, factor: int, channels: int) -> Iterable[nn.Module]:
        at = self.config.attention_resolutions
        return self._transformers(channels) if factor in at else ()

    def _transformers(self, channels: int) -> tuple[nn.Module, nn.Module]:
        config = self.config
        head, depth = config.head_channels, config.transformer_depth
        return (
            SpatialTransformer(channels, head, depth, config.context_dim),
            TemporalTransformer(channels, channels // head, head, depth),
        )


def embedding_mlp(width: int, embedding: int) -> nn.Sequential:
    """Two linear layers around a SiLU."""
    return nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))


def sinusoids(values: Int[Tensor, " g"], width: int) -> Float[Tensor, "g E"]:
    """Cosines then sines of ``values`` at geometric frequencies, float32."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=values.device) / half
    angles = values[:, None].float() * torch.exp(-math.log(MAX_PERIOD) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)

"""Prints what a step costs when n of 25 frames are active, at the official size.

Counts floating-point operations and cache bytes on shapes only (nothing is computed), so it runs
anywhere in a minute: ``python plugins/viewcrafter/benchmarks/cost.py``.
"""

import sys
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework_viewcrafter.blocks import Context
from sphinx_framework_viewcrafter.config import ViewCrafterConfig
from sphinx_framework_viewcrafter.network import UNet

FRAMES = 25
LATENT = (72, 128)
ACTIVE = (1, 2, 4, 8, 12, 16, 20, 25)
TERA, GIBI = 1e12, 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The network and one clip of one guidance branch, without storage."""

    network: UNet
    x: torch.Tensor
    context: Context

    def flops(self, ops: DenseExecutor, rows: int) -> int:
        """Floating-point operations of one pass over ``rows`` frames."""
        step = torch.zeros(1, dtype=torch.long, device="meta")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.network(self.x[:rows], step, step, self.context, ops)
        return counter.get_total_flops()


def subject(dtype: torch.dtype) -> Subject:
    """Build the official network on the meta device."""
    config = ViewCrafterConfig()
    tokens = config.resampler.num_queries * config.resampler.video_length
    with torch.device("meta"):
        return Subject(
            network=UNet(config.unet).to(dtype).eval(),
            x=torch.empty(FRAMES, config.unet.in_channels, *LATENT, dtype=dtype),
            context=Context(
                text=torch.empty(
                    1, config.text_tower.context_length, config.unet.context_dim, dtype=dtype
                ),
                image=torch.empty(1, tokens, config.unet.context_dim, dtype=dtype),
            ),
        )


def table() -> list[str]:
    """Lines of the table."""
    clip = subject(torch.float16)
    constants: dict[str, torch.Tensor] = {}
    # The first pass also projects the context, once per request.
    clip.flops(DenseExecutor(FRAMES, constants), FRAMES)
    dense = clip.flops(DenseExecutor(FRAMES, constants), FRAMES)
    cache = LatentCache()
    cache.begin_record(0)
    clip.flops(RecordExecutor(FRAMES, cache, constants=constants), FRAMES)
    lines = [
        f"U-Net, {FRAMES} frames of {LATENT[0]}x{LATENT[1]} cells, one guidance branch",
        f"full pass: {dense / TERA:.2f} TFLOP; cache: {cache.num_bytes / GIBI:.2f} GiB (float16)",
        f"{'active':>6}  {'TFLOP':>7}  {'of full':>7}",
    ]
    for count in ACTIVE:
        frames = torch.arange(count, device="meta")
        ops = FrameSubsetExecutor(FRAMES, cache, frames, constants)
        flops = clip.flops(ops, count)
        lines.append(f"{count:>6}  {flops / TERA:>7.2f}  {flops / dense:>7.3f}")
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")

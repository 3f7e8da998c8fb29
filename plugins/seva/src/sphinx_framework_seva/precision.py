"""Precision and layout of the networks on a device."""

import torch

from sphinx_framework.nn.precision import network_dtype
from sphinx_framework_seva.config import SevaConfig


def chosen_dtype(config: SevaConfig, device: torch.device) -> torch.dtype:
    """The dtype asked for; ``auto`` is bfloat16 on CUDA and float32 elsewhere."""
    return network_dtype(config.dtype, device)


def chosen_channels_last(config: SevaConfig, device: torch.device) -> bool:
    """The layout asked for; by default channels-last on CUDA, whose convolutions want it."""
    return device.type == "cuda" if config.channels_last is None else config.channels_last

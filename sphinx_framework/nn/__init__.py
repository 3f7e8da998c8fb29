"""Layers a network author writes with, and the names that its cache slots get."""

from sphinx_framework.nn.layers import Conv2d, FrameConv, GroupNorm, SelfAttention
from sphinx_framework.nn.resampling import Downsample, Upsample
from sphinx_framework.nn.sites import bind_sites, list_sites

__all__ = [
    "Conv2d",
    "Downsample",
    "FrameConv",
    "GroupNorm",
    "SelfAttention",
    "Upsample",
    "bind_sites",
    "list_sites",
]

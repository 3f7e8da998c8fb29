"""Weights and cuts that a request keeps: the same values, and never those of other weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.kept import KeptWeights, windows_conv2d
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.statistics import (
    clip_statistics,
    group_moments,
    normalised,
    renewed_norm,
)
from sphinx_framework.executors.taps import taps_first
from sphinx_framework.executors.tiles import TileSet, gather


def windows(rows=5, channels=8, side=6):
    drawn = torch.randn(rows, channels, side, side, generator=torch.Generator().manual_seed(0))
    return drawn.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [1, 2])
def test_kept_weights_convolve_as_the_layer_does(stride):
    conv, x, kept = nn.Conv2d(8, 12, 3, stride=stride), windows(), KeptWeights()
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(windows_conv2d("a", conv, x, kept), conv(x))


def test_weights_that_change_are_reordered_anew():
    conv, x, kept = nn.Conv2d(8, 12, 3), windows(), KeptWeights()
    with torch.no_grad():
        windows_conv2d("a", conv, x, kept)
        conv.weight.mul_(2)
        torch.testing.assert_close(windows_conv2d("a", conv, x, kept), conv(x))
        conv.weight = nn.Parameter(conv.weight + 1)
        torch.testing.assert_close(windows_conv2d("a", conv, x, kept), conv(x))


def test_gradients_flow_where_they_are_asked_for():
    conv, x = nn.Conv2d(8, 12, 3), windows()
    windows_conv2d("a", conv, x, KeptWeights()).sum().backward()
    assert conv.weight.grad is not None


def test_taps_are_laid_out_once_until_weights_change():
    conv, kept = nn.Conv3d(4, 6, (3, 1, 1)), KeptWeights()
    with torch.no_grad():
        first = taps_first("a", conv, kept)
        assert taps_first("a", conv, kept) is first
        conv.weight.add_(1)
        assert torch.equal(taps_first("a", conv, kept), taps_first("a", conv, None))


def test_a_constant_is_cut_once_and_anew_when_it_or_its_tiles_were_written_to():
    active = torch.zeros(2, 2, 2, dtype=torch.bool)
    active[0, 1, 0] = active[1, 0, 1] = True
    tiles = TileSet.from_mask(active)
    constants = {"map": torch.arange(2.0 * 3 * 4 * 4).view(2, 3, 4, 4)}
    ops = BlockSparseExecutor(2, LatentCache(), tiles, constants)
    first = ops.maps(constants["map"])
    assert torch.equal(first, gather(constants["map"], tiles))
    assert ops.maps(constants["map"]) is first
    constants["map"].add_(1)
    assert torch.equal(ops.maps(constants["map"]), gather(constants["map"], tiles))
    ops.maps(constants["map"]).zero_()
    assert torch.equal(ops.maps(constants["map"]), gather(constants["map"], tiles))
    other = constants["map"].clone()
    assert ops.maps(other) is not ops.maps(other)  # no constant: it may change at every step


@pytest.mark.parametrize("affine", [True, False])
def test_a_renewed_norm_is_the_norm_over_the_clip(affine):
    draw = torch.Generator().manual_seed(1)
    clip = torch.randn(2 * 5, 8, 3, 4, generator=draw)
    norm, frames = nn.GroupNorm(4, 8, affine=affine), torch.tensor([1, 4])
    held = clip.unflatten(0, (2, 5))[:, frames].flatten(0, 1)
    moved = held + torch.randn(held.shape, generator=draw)
    moments = group_moments(clip, 4)
    renewed = moments.clone().unflatten(0, (2, 5))
    with torch.no_grad():
        answer = renewed_norm(renewed, frames, moved, norm)
        clip.unflatten(0, (2, 5))[:, frames] = moved.unflatten(0, (2, 2))
        mean, inverse = clip_statistics(group_moments(clip, 4), 5, norm.eps)
        whole = normalised(clip, norm, mean, inverse).unflatten(0, (2, 5))
        torch.testing.assert_close(answer, whole[:, frames].flatten(0, 1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            renewed.flatten(0, 1), group_moments(clip, 4), rtol=1e-4, atol=1e-5
        )
        direct = F.group_norm(
            clip.unflatten(0, (2, 5)).transpose(1, 2), 4, norm.weight, norm.bias, norm.eps
        ).transpose(1, 2)
        torch.testing.assert_close(answer, direct[:, frames].flatten(0, 1), rtol=1e-4, atol=1e-5)

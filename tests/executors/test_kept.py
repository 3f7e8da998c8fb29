"""Weights and cuts that a request keeps: the same values, and never those of other weights."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.kept import KeptWeights, packed_conv2d, packed_product
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.statistics import (
    clip_statistics,
    group_moments,
    normalised,
    renewed_norm,
)
from sphinx_framework.executors.taps import mixed_cells, mixed_frames
from sphinx_framework.executors.tiles import TileSet, gather


def windows(rows=5, channels=8, side=6):
    drawn = torch.randn(rows, channels, side, side, generator=torch.Generator().manual_seed(0))
    return drawn.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [1, 2])
def test_kept_weights_convolve_as_the_layer_does(stride):
    conv, x, kept = nn.Conv2d(8, 12, 3, stride=stride), windows(), KeptWeights()
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(packed_conv2d("a", x, conv.weight, conv, kept), conv(x))


STRIDED = {"stride": 2}
OTHERS = ({}, {"dilation": 2}, {"groups": 4})
LAYERS = [
    *product((1, (2, 0)), (STRIDED, *OTHERS)),
    *product(("same",), OTHERS),  # torch has no layer that pads so and has a stride
]


@pytest.mark.parametrize(("padding", "settings"), LAYERS)
def test_active_frames_are_convolved_as_the_layer_does_until_weights_change(padding, settings):
    conv, x = nn.Conv2d(8, 12, 3, padding=padding, **settings), windows()
    ops = FrameSubsetExecutor(9, LatentCache(), torch.arange(5))
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(ops.conv2d("a", conv, x), conv(x))
            assert len(ops.cache.kept._kept) == int(padding != "same")
            conv.weight.add_(1)


def test_weights_that_change_are_reordered_anew():
    conv, x, kept = nn.Conv2d(8, 12, 3), windows(), KeptWeights()
    with torch.no_grad():
        packed_conv2d("a", x, conv.weight, conv, kept)
        conv.weight.mul_(2)
        torch.testing.assert_close(packed_conv2d("a", x, conv.weight, conv, kept), conv(x))
        conv.weight = nn.Parameter(conv.weight + 1)
        torch.testing.assert_close(packed_conv2d("a", x, conv.weight, conv, kept), conv(x))


def test_gradients_flow_where_they_are_asked_for():
    conv, x = nn.Conv2d(8, 12, 3), windows()
    packed_conv2d("a", x, conv.weight, conv, KeptWeights()).sum().backward()
    assert conv.weight.grad is not None


def test_kept_weights_multiply_as_the_layer_does():
    draw = torch.Generator().manual_seed(2)
    linear, x, kept = nn.Linear(8, 12), torch.randn(7, 8, generator=draw), KeptWeights()
    with torch.no_grad():
        for _ in range(2):
            rows = packed_product("a", x, linear.weight, linear.bias, kept)
            torch.testing.assert_close(rows, linear(x))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
def test_taps_are_mixed_as_the_layer_does_until_weights_change(bias, keeps):
    conv, kept = nn.Conv3d(4, 6, (3, 1, 1), bias=bias), KeptWeights() if keeps else None
    draw = torch.Generator().manual_seed(3)
    near = torch.randn(5, 3, 4, 2, 7, generator=draw)  # [R taps C a b]
    cells = near.permute(0, 3, 4, 1, 2).reshape(-1, 3, 4)
    with torch.no_grad():
        for _ in range(2):
            whole = conv(near.transpose(1, 2))[:, :, 0]
            torch.testing.assert_close(mixed_frames("a", near, conv, kept), whole)
            flat = mixed_cells("a", cells, conv, kept)
            torch.testing.assert_close(flat.view(5, 2, 7, 6).permute(0, 3, 1, 2), whole)
            conv.weight.add_(1)


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

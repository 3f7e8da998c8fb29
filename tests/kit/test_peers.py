"""Others' shortcuts on the embedded U-Net: exact where they skip nothing, cheaper where they do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "peers"))

import pytest
import torch
from shortcuts import FirstBlock, Interval, shortcut

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework_lite.unet import MultiViewUNet

FRAMES, SIDE = 3, 8


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = MultiViewUNet(4, 5).eval().requires_grad_(False)
    for parameter in made.parameters():
        if parameter.ndim > 1:  # output layers begin as zeros
            parameter.normal_(0, parameter[0].numel() ** -0.5)
    return made


def walk(net, how, steps=6):
    """Answers at falling noise levels, and how often the whole network ran."""
    x, condition = torch.randn(FRAMES, 4, SIDE, SIDE), torch.randn(FRAMES, 5, SIDE, SIDE)
    noises = [torch.full((1,), 1.0 - 0.02 * step) for step in range(steps)]
    ops = DenseExecutor(FRAMES)
    plain = [net(x, noise, condition, ops) for noise in noises]
    with shortcut(net, how) as kept:
        short = [net(x, noise, condition, ops) for noise in noises]
    assert torch.equal(net(x, noises[0], condition, ops), plain[0])
    return plain, short, kept


@pytest.mark.parametrize("how", [Interval(1), FirstBlock(0.0)])
def test_a_shortcut_that_skips_nothing_changes_no_byte(net, how):
    plain, short, kept = walk(net, how)
    assert all(torch.equal(a, b) for a, b in zip(plain, short, strict=True))
    assert (kept.full, kept.short) == (6, 0)


def test_deep_features_are_made_anew_every_third_step(net):
    plain, short, kept = walk(net, Interval(3))
    assert (kept.full, kept.short) == (2, 4)
    same = [torch.equal(a, b) for a, b in zip(plain, short, strict=True)]
    assert same == [True, False, False, True, False, False]


def test_the_first_block_decides_by_how_much_it_changed(net):
    plain, short, kept = walk(net, FirstBlock(10.0))
    assert (kept.full, kept.short) == (1, 5)
    assert torch.equal(plain[0], short[0])
    assert not torch.equal(plain[1], short[1])


def test_a_new_request_reuses_nothing_of_the_last(net):
    """Its first noise level is higher than the last one's."""
    ops = DenseExecutor(FRAMES)
    condition = torch.randn(FRAMES, 5, SIDE, SIDE)
    first, second = torch.randn(2, FRAMES, 4, SIDE, SIDE)
    high, low = torch.full((1,), 1.0), torch.full((1,), 0.5)
    plain = net(second, high, condition, ops)
    with shortcut(net, Interval(10)):
        net(first, high, condition, ops)
        net(first, low, condition, ops)
        assert torch.equal(net(second, high, condition, ops), plain)

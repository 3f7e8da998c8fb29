"""Marker layers are torch's own layers under the dense executor."""

import pytest
import torch
from torch import nn

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.nn import Conv2d, FrameConv, GroupNorm, SelfAttention

FRAMES = 3
DENSE = DenseExecutor(FRAMES)


def maps(channels=8):
    return torch.randn(FRAMES, channels, 6, 4, generator=torch.Generator().manual_seed(0))


def test_conv2d_computes_what_torch_computes():
    layer = Conv2d(8, 4, 3, padding=1, stride=2)
    assert torch.equal(layer(maps(), DENSE), nn.Conv2d.forward(layer, maps()))


def test_group_norm_computes_what_torch_computes():
    layer = GroupNorm(2, 8)
    assert torch.equal(layer(maps(), DENSE), nn.GroupNorm.forward(layer, maps()))


def test_frame_conv_computes_what_a_padded_conv3d_computes():
    layer = FrameConv(8, 4, (3, 1, 1), padding=(1, 0, 0))
    clip = maps().transpose(0, 1)[None]
    expected = nn.Conv3d.forward(layer, clip)[0].transpose(0, 1)
    torch.testing.assert_close(layer(maps(), DENSE), expected)


def test_self_attention_computes_what_torchs_attention_computes():
    layer = SelfAttention(8, 2, 4, "frame")
    reference = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        weights = torch.cat([layer.to_q.weight, layer.to_k.weight, layer.to_v.weight])
        reference.in_proj_weight.copy_(weights)
        reference.in_proj_bias.zero_()
        reference.out_proj.weight.copy_(layer.to_out[0].weight)
        reference.out_proj.bias.copy_(layer.to_out[0].bias)
    tokens = maps().flatten(2).transpose(1, 2)
    expected, _ = reference(tokens, tokens, tokens)
    torch.testing.assert_close(layer(tokens, DENSE), expected)


@pytest.mark.parametrize(
    ("layer", "keys"),
    [
        (Conv2d(4, 4, 3), {"weight", "bias"}),
        (GroupNorm(2, 4), {"weight", "bias"}),
        (FrameConv(4, 4, (3, 1, 1)), {"weight", "bias"}),
        (
            SelfAttention(4, 1, 4, "clip"),
            {"to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight", "to_out.0.bias"},
        ),
    ],
)
def test_parameter_names_are_those_of_plain_torch(layer, keys):
    assert layer.state_dict().keys() == keys

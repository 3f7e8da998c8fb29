"""The dense executor is plain torch on the whole clip."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sphinx_framework.executors.dense import DenseExecutor, pick

FRAMES = 3


def clip(channels=8, size=(6, 4), branches=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(branches * FRAMES, channels, *size, generator=generator)


def tokens(count=5, width=8, branches=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(branches * FRAMES, count, width, generator=generator)


def branches_of(x):
    return x.unflatten(0, (-1, FRAMES))


@pytest.fixture
def ops():
    return DenseExecutor(FRAMES)


def test_every_row_is_held(ops):
    x = clip()
    assert ops.rows(x) is x
    assert ops.maps(x) is x


@pytest.mark.parametrize("stride", [1, 2])
def test_conv2d_is_the_layer_itself(ops, stride):
    conv = nn.Conv2d(8, 5, 3, stride=stride, padding=1)
    assert torch.equal(ops.conv2d("a", conv, clip()), conv(clip()))


def test_conv2d_keeps_groups_dilation_and_padding(ops):
    conv = nn.Conv2d(8, 8, (3, 1), padding=(2, 0), dilation=(2, 1), groups=4, bias=False)
    assert torch.equal(ops.conv2d("a", conv, clip()), conv(clip()))


def test_group_norm_over_a_frame_is_the_layer_itself(ops):
    norm = nn.GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    assert torch.equal(ops.group_norm("a", norm, clip()), norm(clip()))


def test_group_norm_over_the_clip_normalises_each_branch_over_all_frames(ops):
    norm = nn.GroupNorm(4, 8)
    x = clip(branches=2)

    result = ops.group_norm("a", norm, x, "frames")

    whole = branches_of(x).transpose(1, 2)  # [g, C, T, h, w]
    expected = norm(whole).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(result, expected)


def test_group_norm_is_computed_in_float32_for_half_precision(ops):
    norm = nn.GroupNorm(4, 8)
    x = clip().half() * 100

    result = ops.group_norm("a", norm, x)

    assert result.dtype == torch.float16
    torch.testing.assert_close(result.float(), norm(x.float()), atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("branches", [1, 2])
def test_attention_within_a_frame_equals_torch_on_rows(ops, branches):
    q, k, v = (tokens(branches=branches, seed=s) for s in range(3))

    result = ops.attention("a", q, k, v, 1, "frame")

    torch.testing.assert_close(result, F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("branches", [1, 2])
def test_attention_across_frames_mixes_equal_cells_of_one_branch(ops, branches):
    q, k, v = (tokens(branches=branches, seed=s) for s in range(3))

    result = ops.attention("a", q, k, v, 1, "frames")

    at_cells = [branches_of(t).transpose(1, 2) for t in (q, k, v)]
    expected = F.scaled_dot_product_attention(*at_cells).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("branches", [1, 2])
def test_attention_over_the_clip_mixes_all_tokens_of_one_branch(ops, branches):
    q, k, v = (tokens(branches=branches, seed=s) for s in range(3))

    result = ops.attention("a", q, k, v, 1, "clip")

    flat = [branches_of(t).flatten(1, 2) for t in (q, k, v)]
    expected = F.scaled_dot_product_attention(*flat).view_as(result)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("taps", [1, 3, 5])
def test_frame_conv_pads_the_clip_with_zeros(ops, taps):
    conv = nn.Conv3d(8, 5, (taps, 1, 1), padding=(taps // 2, 0, 0))
    x = clip(branches=2)

    result = ops.frame_conv("a", conv, x)

    expected = conv(branches_of(x).transpose(1, 2)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(result, expected)


def test_across_frames_gives_every_row_its_whole_branch(ops):
    x = clip(branches=2)

    seen = ops.across_frames("a", x)

    assert seen.shape == (2 * FRAMES, FRAMES, 8, 6, 4)
    for row in range(2 * FRAMES):
        first = row // FRAMES * FRAMES
        assert torch.equal(seen[row], x[first : first + FRAMES])


def test_constants_are_made_once_and_shared_through_the_store():
    store: dict[str, torch.Tensor] = {}
    made = []

    def make():
        made.append(1)
        return torch.ones(2)

    first = DenseExecutor(FRAMES, store).constant("a", make)
    second = DenseExecutor(FRAMES, store).constant("a", make)

    assert first is second
    assert made == [1]


def test_constants_of_two_executors_are_apart_unless_a_store_is_given():
    DenseExecutor(FRAMES).constant("a", lambda: torch.zeros(1))
    assert float(DenseExecutor(FRAMES).constant("a", lambda: torch.ones(1))) == 1


def test_pick_takes_the_same_frames_of_every_branch():
    x = torch.arange(6.0)[:, None]
    assert pick(x, torch.tensor([0, 2]), FRAMES).flatten().tolist() == [0, 2, 3, 5]

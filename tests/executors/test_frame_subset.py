import pytest
import torch
from networks import KINDS, MixedModel, random_clip
from torch import nn

from sphinx_framework.errors import StaleCacheError
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor

OTHER_FRAMES = ("clip_norm", "frames", "clip", "frame_conv", "across", "joint")
LOOKING_AT_FRAMES = [k for k in KINDS if k in OTHER_FRAMES or k.startswith(("frames_", "clip_"))]


def subset(cache, frames, total=4):
    return FrameSubsetExecutor(total, cache, torch.tensor(frames))


def test_rows_and_maps_are_those_of_the_active_frames_of_every_branch():
    ops = subset(LatentCache(), [1, 3])
    per_frame = torch.arange(8.0)
    assert ops.rows(per_frame).tolist() == [1, 3, 5, 7]
    maps = per_frame[:, None, None, None].expand(8, 1, 2, 2)
    assert ops.maps(maps)[:, 0, 0, 0].tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize("kind", LOOKING_AT_FRAMES)
def test_looking_at_other_frames_without_a_full_pass_raises(kind):
    model = MixedModel((kind,))
    x, condition = random_clip(4, (4, 4))
    with pytest.raises(StaleCacheError, match=r"mixers\.0"), torch.no_grad():
        model.denoise(x[[1]], 0, condition, subset(LatentCache(), [1]))


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in LOOKING_AT_FRAMES])
def test_what_stays_within_a_frame_needs_no_cache(kind):
    model = MixedModel((kind,))
    x, condition = random_clip(4, (4, 4))
    with torch.no_grad():
        assert model.denoise(x[[1]], 0, condition, subset(LatentCache(), [1])).shape == (1, 3, 4, 4)


def test_a_cleared_cache_cannot_be_read():
    model = MixedModel(("clip",))
    x, condition = random_clip(4, (4, 4))
    cache = LatentCache()
    cache.begin_record(0)
    with torch.no_grad():
        model.denoise(x, 0, condition, RecordExecutor(4, cache))
        cache.clear()
        with pytest.raises(StaleCacheError):
            model.denoise(x[[1]], 1, condition, subset(cache, [1]))


def test_a_frame_that_becomes_active_later_sees_the_rows_written_before():
    cache = LatentCache()
    cache.begin_record(0)
    RecordExecutor(4, cache).across_frames("mix", torch.zeros(4, 1))
    subset(cache, [1]).across_frames("mix", torch.full((1, 1), 5.0))

    seen = subset(cache, [1, 3]).across_frames("mix", torch.tensor([[6.0], [7.0]]))

    assert seen[:, :, 0].tolist() == [[0, 6, 0, 7], [0, 6, 0, 7]]


def test_frames_at_the_ends_see_zeros_beyond_the_clip():
    conv = nn.Conv3d(1, 1, (3, 1, 1), bias=False)
    nn.init.ones_(conv.weight)
    cache = LatentCache()
    cache.begin_record(0)
    clip = torch.tensor([1.0, 10, 100, 1000]).view(4, 1, 1, 1)
    RecordExecutor(4, cache).frame_conv("t", conv, clip)

    result = subset(cache, [0, 3]).frame_conv("t", conv, clip[[0, 3]])

    assert result.flatten().tolist() == [11, 1100]


def test_a_frame_alone_on_a_level_of_one_cell_is_normalised():
    norm = torch.nn.GroupNorm(4, 4)
    x = torch.randn(3, 4, 1, 1)
    ops = FrameSubsetExecutor(3, LatentCache(), torch.tensor([1]))
    # A group of one value: nothing but the rounding of its mean, over the root of epsilon, is left.
    came = ops.group_norm("norm", norm, x[[1]])
    torch.testing.assert_close(came, torch.zeros(1, 4, 1, 1), rtol=0, atol=1e-3)

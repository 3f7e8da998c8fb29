"""Recording changes what is remembered, not what is computed."""

import pytest
import torch
from networks import KINDS, MixedModel, random_clip

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.statistics import clip_statistics, group_moments
from sphinx_framework.testing.oracle import relative_error

# These normalise with the statistics they record, so the same formula in another order.
OTHER_ORDER = {("clip_norm", False), ("clip_norm", True), ("norm", True)}


def passes(kind, *, tiles):
    model = MixedModel((kind, kind), branches=2)
    x, condition = random_clip(3, (8, 4))
    cache = LatentCache()
    cache.begin_record(0)
    with torch.no_grad():
        dense = model.denoise(x, 0, condition, DenseExecutor(3))
        recorded = model.denoise(x, 0, condition, RecordExecutor(3, cache, tiles=tiles))
    return dense, recorded, cache


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_pass_is_the_dense_pass(kind, tiles):
    dense, recorded, _ = passes(kind, tiles=tiles)
    if (kind, tiles) in OTHER_ORDER:
        assert relative_error(recorded, dense) < 1e-5
    else:
        assert torch.equal(recorded, dense)


@pytest.mark.parametrize("kind", ["conv", "depthwise", "norm", "frame", "below"])
def test_what_stays_within_a_frame_is_not_recorded_for_frame_subsets(kind):
    _, _, cache = passes(kind, tiles=False)
    assert cache.num_bytes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_looks_elsewhere_is_recorded_for_tiles(kind):
    _, _, cache = passes(kind, tiles=True)
    assert cache.num_bytes > 0


def test_a_site_used_twice_in_one_pass_raises_and_names_the_site():
    cache = LatentCache()
    cache.begin_record(0)
    ops = RecordExecutor(3, cache)
    ops.across_frames("mix", torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"'mix\.input' is recorded twice"):
        ops.across_frames("mix", torch.zeros(3, 2))


def test_group_moments_in_float32_survive_large_offsets():
    x = 1000 + torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    moments = group_moments(x, 2)
    assert moments.dtype is torch.float32
    mean, inverse = clip_statistics(moments, 2, 0.0)
    groups = x.double().unflatten(1, (2, -1)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean[0], groups.mean(1).float())
    deviation = groups.var(1, correction=0).rsqrt().float()
    torch.testing.assert_close(inverse[0], deviation, rtol=1e-4, atol=0)


def test_clip_statistics_repeat_for_every_frame_of_their_branch():
    x = torch.randn(6, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    mean, _ = clip_statistics(group_moments(x, 1), 3, 1e-5)
    assert mean.shape == (6, 1)
    assert len(set(mean[:3].flatten().tolist())) == 1
    assert float(mean[0]) == pytest.approx(float(x[:3].mean()), abs=1e-6)
    assert float(mean[3]) == pytest.approx(float(x[3:].mean()), abs=1e-6)

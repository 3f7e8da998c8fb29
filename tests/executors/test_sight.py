"""Bias, masks, causal order and tokens of no frame, against the definition; what is refused."""

import pytest
import torch
from networks import MixedModel, random_clip

from sphinx_framework.executors.attention import attend_frames
from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.protocols import Sight, Tokens

FRAMES, CELLS, CHANNELS = 3, 4, 8


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def qkv(rows: int = FRAMES) -> list[torch.Tensor]:
    return [tokens(rows, CELLS, CHANNELS, seed=seed) for seed in range(3)]


def executors():
    """Each with a cache recorded by the same plain call at site ``a``."""
    cache = LatentCache()
    cache.begin_record(0)
    RecordExecutor(FRAMES, cache, tiles=True).attention("a", *qkv(), 1, "clip")
    tiles = torch.zeros(FRAMES, 2, 2, dtype=torch.bool)
    tiles[1, 0, 0] = True
    return {
        "dense": (DenseExecutor(FRAMES), qkv()),
        "frames": (FrameSubsetExecutor(FRAMES, cache, torch.tensor([1])), qkv(1)),
        "tiles": (BlockSparseExecutor(FRAMES, cache, TileSet.from_mask(tiles)),
                  [t[:, :1] for t in qkv(1)]),
    }  # fmt: skip


@pytest.mark.parametrize("reach", ["frames", "clip"])
def test_causal_attention_does_not_see_later_frames(reach):
    ops = DenseExecutor(FRAMES)
    query, key, value = qkv()
    before = ops.attention("a", query, key, value, 2, reach, Sight(causal=True))
    key[2], value[2] = 0, 5
    after = ops.attention("a", query, key, value, 2, reach, Sight(causal=True))
    assert torch.equal(before[:2], after[:2])
    assert not torch.allclose(before[2], after[2])


def test_the_first_frame_of_causal_attention_sees_itself_only():
    query, key, value = qkv()
    causal = DenseExecutor(FRAMES).attention("a", query, key, value, 2, "clip", Sight(causal=True))
    alone = DenseExecutor(1).attention("a", query[:1], key[:1], value[:1], 2, "clip")
    torch.testing.assert_close(causal[:1], alone)


@pytest.mark.parametrize("reach", ["frame", "frames", "clip"])
def test_a_mask_of_all_but_one_key_picks_its_value(reach):
    query, key, value = qkv()
    side = {"frame": CELLS, "frames": FRAMES, "clip": FRAMES * CELLS}[reach]
    mask = torch.zeros(1, 1, side, side, dtype=torch.bool)
    mask[..., 1] = True
    mixed = DenseExecutor(FRAMES).attention("a", query, key, value, 2, reach, Sight(bias=mask))
    picked = {
        "frame": value[:, 1:2].expand(-1, CELLS, -1),
        "frames": value[1].expand(FRAMES, -1, -1),
        "clip": value[0, 1].expand(FRAMES, CELLS, -1),
    }[reach]
    torch.testing.assert_close(mixed, picked)


@pytest.mark.parametrize("reach", ["frame", "frames", "clip"])
def test_a_token_of_no_frame_is_seen_through_any_mask(reach):
    query, key, value = qkv()
    side = {"frame": CELLS, "frames": FRAMES, "clip": FRAMES * CELLS}[reach]
    blind = torch.zeros(1, 1, side, side, dtype=torch.bool)
    own = tokens(1, 1, CHANNELS, seed=9)
    sight = Sight(bias=blind, key=own, value=own)
    mixed = DenseExecutor(FRAMES).attention("a", query, key, value, 2, reach, sight)
    torch.testing.assert_close(mixed, own.expand(FRAMES, CELLS, -1))


@pytest.mark.parametrize("kind", ["dense", "frames", "tiles"])
def test_causal_attention_within_a_frame_is_refused(kind):
    ops, given = executors()[kind]
    with pytest.raises(ValueError, match="over frames"):
        ops.attention("a", *given, 1, "frame", Sight(causal=True))


def test_a_bias_without_four_axes_and_half_a_token_are_refused():
    with pytest.raises(ValueError, match=r"four axes .* \(3, 3\)"):
        Sight(bias=torch.zeros(3, 3))
    with pytest.raises(ValueError, match="both key and value"):
        Sight(key=torch.zeros(1, 1, 8))


def test_joint_attention_of_an_outside_token_is_its_mean_over_everything_alike():
    query, key, value = qkv()
    own = Tokens(query=query, key=torch.zeros_like(key), value=value)
    zero = torch.zeros(1, 2, CHANNELS)
    mixed, outside = DenseExecutor(FRAMES).joint_attention(
        "a", own, Tokens(query=zero, key=zero, value=zero), 2
    )
    mean = value.flatten(0, 1).sum(0) / (FRAMES * CELLS + 2)
    torch.testing.assert_close(outside, mean.expand(1, 2, -1))
    torch.testing.assert_close(mixed, mean.expand(FRAMES, CELLS, -1))


@pytest.mark.parametrize("frames", [5, 70])
def test_frames_see_biased_keys_on_both_paths(frames):
    query, key, value = (tokens(1, frames, 2, CHANNELS, seed=s) for s in range(3))
    bias = tokens(1, 2, frames, frames, seed=4)
    mixed = attend_frames(query, key, value, 2, bias)
    for cell in range(2):
        q, k, v = (t[0, :, cell].unflatten(1, (2, -1)).transpose(0, 1) for t in (query, key, value))
        weights = (q @ k.mT / 2 + bias[0]).softmax(-1)
        torch.testing.assert_close(mixed[0, :, cell], (weights @ v).transpose(0, 1).flatten(1))


def test_half_precision_networks_may_keep_their_bias_in_float32():
    query, key, value = (t.bfloat16() for t in qkv())
    bias = tokens(1, 1, CELLS, CELLS)
    mixed = DenseExecutor(FRAMES).attention("a", query, key, value, 2, "frame", Sight(bias=bias))
    assert mixed.dtype is torch.bfloat16


def test_the_order_of_frames_is_read_from_the_host_where_it_is_known(monkeypatch):
    model = MixedModel(("clip_causal",))
    x, condition = random_clip(4, (4, 4))
    cache = LatentCache()
    cache.begin_record(0)
    rows = torch.tensor([1, 3])
    with torch.no_grad():
        model.denoise(x, 0, condition, RecordExecutor(4, cache))
        asked = model.denoise(x[rows], 0, condition, FrameSubsetExecutor(4, cache, rows))
        ops = FrameSubsetExecutor(4, cache, rows, listed=(1, 3))
        monkeypatch.setattr(torch.Tensor, "tolist", None)
        told = model.denoise(x[rows], 0, condition, ops)
    assert torch.equal(told, asked)

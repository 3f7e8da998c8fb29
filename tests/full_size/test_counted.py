"""Every diffusion plugin at official size, counted on the meta device: limits that must hold."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import counted as command
from full_size.counting import counted, parameter_bytes, stored_bytes
from full_size.moves import COUNTS, SHARES, moves
from full_size.subjects import SUBJECTS

from sphinx_framework.config import load_config
from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.tiles import split
from sphinx_framework.plugin import Capabilities
from sphinx_framework.registry import Registry

CPU, META = torch.device("cpu"), torch.device("meta")
# TFLOP, GB of traffic at most, operators at most of a full step and of one frame; GB of weights,
# of the cache for frames and for tiles; GB alive at most in a full step.
OFFICIAL = {
    "seva": (74.04, 312, 1364, 1450, 2.53, 3.10, 9.63, 3.9),
    "viewcrafter": (164.67, 997, 2700, 4400, 2.88, 23.12, 38.09, 9.4),
}


# Of the page's rows, all but a few of the slowest network's.
CHOSEN = {
    "lite": (COUNTS, SHARES),
    "seva": (COUNTS, SHARES),
    "viewcrafter": ((1, 3, 19), (0.05, 0.5)),
}

# A stock pipeline runs whole clips only.
SKIPPING = [name for name in SUBJECTS if name != "stable-video"]


@pytest.fixture(scope="module")
def tables():
    made = {name: command.table(name, *chosen) for name, chosen in CHOSEN.items()}
    # Its 42 layers are alike: three of them cost the same shares.
    few = SUBJECTS["videoscene"](META, layers=3)
    return made | {"videoscene": command.table("videoscene", (1, 5, 10), (0.05, 0.25), few)}


def test_every_diffusion_plugin_is_counted():
    known = Registry.from_entry_points().names("diffusion")
    assert sorted(SUBJECTS) == sorted(set(known) - {"toy"})


def test_a_stock_network_is_counted_whole_and_has_nothing_else():
    made = command.table("stable-video")
    (full,) = made.rows
    assert full.counts.flops / 1e12 == pytest.approx(160.0, rel=0.01)
    assert full.counts.traffic_bytes / 1e9 <= 750
    assert full.counts.operators <= 4500
    assert made.weight_bytes / 1e9 == pytest.approx(3.05, abs=0.01)
    assert "no latent cache" in command.told(made)
    assert Registry.from_entry_points().find("diffusion", "stable-video").capabilities == (
        Capabilities()
    )


@pytest.mark.parametrize("name", SKIPPING)
def test_partial_steps_cost_their_share(tables, name):
    assert tables[name].exceeded() == []
    kinds = [row.kind for row in tables[name].rows]
    assert kinds.count("frames") >= 3
    assert kinds.count("tiles") >= 2


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_full_step_costs_what_the_page_says(tables, name):
    flops, traffic, operators, of_one, weights, frames, tiles, alive = OFFICIAL[name]
    made = tables[name]
    full, one = made.rows[0].counts, made.rows[3].counts
    assert made.rows[3].name.startswith("1 of")
    assert full.flops / 1e12 == pytest.approx(flops, rel=1e-3)
    assert full.traffic_bytes / 1e9 <= traffic
    assert full.operators <= operators
    assert one.operators <= of_one
    assert full.peak_bytes / 1e9 <= alive
    held = made.weight_bytes, made.frames_cache_bytes, made.tiles_cache_bytes
    assert [n / 1e9 for n in held] == pytest.approx([weights, frames, tiles], abs=0.01)


@pytest.mark.parametrize("name", OFFICIAL)
def test_one_guidance_branch_costs_half(tables, name):
    alone = [row for row in tables[name].rows if row.name.endswith("one guidance branch")]
    assert [row.flops_of_full for row in alone] == pytest.approx(
        [row.share for row in alone], rel=0.01
    )
    assert alone[0].traffic_of_full < 0.53


@pytest.mark.parametrize(
    ("name", "config"), [("seva", "seva-mvsplat"), ("viewcrafter", "viewcrafter-dust3r")]
)
def test_the_memory_tables_of_the_pairs_hold_what_is_counted(tables, name, config):
    made, asked = tables[name], load_config(config)
    assert asked.memory is not None
    assert asked.memory.frames == made.latents[0]
    assert asked.memory.size == tuple(8 * side for side in made.latents[2:])
    caches = asked.memory.cache.frames, asked.memory.cache.tiles
    counted_bytes = made.frames_cache_bytes, made.tiles_cache_bytes
    assert list(caches) == pytest.approx([n / 1e9 for n in counted_bytes], abs=0.011)
    # The autoencoder and image encoders come on top of the weights, constants on top of the peak.
    assert asked.memory.weights.diffusion > made.weight_bytes / 1e9
    assert asked.memory.working.denoise > made.rows[0].counts.peak_bytes / 1e9


@pytest.mark.parametrize("name", SKIPPING)
def test_cache_and_weights_are_as_large_as_counted(name):
    """On real tensors, at a small size of the same blocks."""
    sizes = []
    for device in (META, CPU):
        made = SUBJECTS[name](device, tiny=True)
        recording = [m for m in moves(made.subject, (), ()) if "recording" in m.name]
        for move in recording:
            with torch.no_grad():
                move.call()
            sizes.append(made.subject.cache.num_bytes)
        sizes.append(parameter_bytes(made.network))
    assert sizes[: len(sizes) // 2] == sizes[len(sizes) // 2 :]


def test_a_planted_gather_or_computation_of_the_whole_clip_is_caught(monkeypatch):
    plain = BlockSparseExecutor._at_frames

    def after_all_frames(self, whole, taps):
        split(whole, self.tiles.grid)[:, :, self.tiles.row, :, self.tiles.column]
        return plain(self, whole, taps)

    def of_the_whole_clip(self, site, conv, x):
        clip = self._updated(f"{site}.input", x)
        y = F.conv3d(clip.transpose(1, 2), conv.weight, conv.bias, padding=(1, 0, 0))
        return y.transpose(1, 2)[:, self.frames].flatten(0, 1)

    monkeypatch.setattr(BlockSparseExecutor, "_at_frames", after_all_frames)
    monkeypatch.setattr(FrameSubsetExecutor, "frame_conv", of_the_whole_clip)
    beyond = command.table("viewcrafter", (3,), (0.1,)).exceeded()
    assert [line for line in beyond if "operations" in line and "3 of 25" in line]
    assert [line for line in beyond if "traffic" in line and "10% of" in line]


def test_a_planted_copy_of_all_keys_is_caught(monkeypatch):
    plain = FrameSubsetExecutor._all_frames

    def copied(self, site, key, value):
        return tuple(t + 0 for t in plain(self, site, key, value))

    monkeypatch.setattr(FrameSubsetExecutor, "_all_frames", copied)
    assert any("traffic" in line for line in command.table("seva", (1,), ()).exceeded())


def test_the_command_prints_a_table_and_ends_with_0(capsys):
    assert command.main(["--models", "lite"]) == 0
    told = capsys.readouterr().out
    assert "lite, 8 frames of 24x24 latents, float32: weights 0.02 GB" in told
    assert "| 1 of 8 frames |" in told


# What is counted, of calls whose costs are known by hand.


def on_meta(*shape):
    return torch.empty(*shape, device=META)


def test_a_linear_layer_counts_two_operations_a_weight_and_row():
    layer = nn.Linear(30, 20, device=META)
    counts = counted(lambda: layer(on_meta(5, 30)))
    assert counts.flops == 2 * 5 * 30 * 20
    assert counts.traffic_bytes == 4 * (5 * 30 + 30 * 20 + 20 + 5 * 20)
    assert counts.operators == 1


def test_views_are_free_and_copies_are_not():
    x = on_meta(6, 4)
    assert counted(lambda: x.T[2:].unflatten(1, (2, 3))).operators == 0
    assert counted(lambda: x.T.contiguous()).traffic_bytes == 2 * 4 * 24


def test_a_gather_reads_what_it_picks_and_a_scatter_writes_what_it_is_given():
    x, index = on_meta(1000, 8), torch.zeros(3, dtype=torch.long, device=META)
    assert counted(lambda: x[index]).traffic_bytes == 2 * 3 * 8 * 4 + 3 * 8
    values = on_meta(3, 8)
    written = counted(lambda: x.index_copy_(0, index, values)).traffic_bytes
    assert written == 2 * 3 * 8 * 4 + 3 * 8
    assert counted(lambda: x.__setitem__(index, values)).traffic_bytes == written


def test_repeats_without_memory_count_once():
    assert stored_bytes(on_meta(1, 7).expand(100, 7)) == 28


def test_memory_that_is_let_go_does_not_add_to_the_peak():
    x = on_meta(1000)

    def chain():
        y = x
        for _ in range(10):
            y = y + 1
        return y

    assert counted(chain).peak_bytes == 2 * 4000


def test_attention_is_one_operator_and_the_fallback_is_told_apart():
    q, k, v = on_meta(2, 4, 10, 8), on_meta(2, 4, 30, 8), on_meta(2, 4, 30, 16)
    counts = counted(lambda: F.scaled_dot_product_attention(q, k, v))
    assert counts.operators == 1
    assert counts.flops == 2 * (2 * 4 * 10 * 30) * (8 + 16)
    assert counts.traffic_bytes == 4 * (q.numel() + k.numel() + v.numel() + 2 * 4 * 10 * 16)
    assert counts.math_bytes == 8 * 2 * 4 * 10 * 30


def test_the_same_call_costs_the_same_on_real_tensors():
    def call(device):
        conv, x = nn.Conv2d(3, 4, 3, device=device), torch.zeros(2, 3, 8, 8, device=device)
        return counted(lambda: F.silu(conv(x)).flatten(1).softmax(1))

    real, imagined = call(CPU), call(META)
    assert (real.flops, real.traffic_bytes) == (imagined.flops, imagined.traffic_bytes)

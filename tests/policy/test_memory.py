"""Plans for a device's memory: the cheapest way that fits, or the numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.config import load_config
from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.memory import (
    RESERVE,
    Cache,
    Demand,
    Footprint,
    Weights,
    Working,
    plan_memory,
    read_memory,
)

FOOTPRINT = Footprint(
    size=(100, 100),
    frames=10,
    batch_option="vae_batch",
    batch=4,
    weights=Weights(regression=3, quality=1, embedder=1, diffusion=4),
    working=Working(regression=1, encode=2, denoise=5, decode=16),
    cache=Cache(frames=6, tiles=20),
)


def demand(mode="fine", size=(100, 100), frames=10, full_precision=False):
    return Demand(size=size, frames=frames, mode=mode, full_precision=full_precision)


def test_where_all_fits_nothing_is_done():
    plan = plan_memory(FOOTPRINT, demand(), 80)
    assert (plan.offload, plan.cache_on, plan.one_image, plan.half) == (
        False,
        "device",
        False,
        False,
    )
    assert plan.stages["denoise"] == RESERVE + 9 + 5 + 6
    assert plan.stages["decode"] == RESERVE + 9 + 16


def test_the_autoencoder_takes_one_image_where_only_decoding_is_too_much():
    plan = plan_memory(FOOTPRINT, demand(), 22)
    assert (plan.offload, plan.cache_on, plan.one_image) == (False, "device", True)
    assert plan.stages["decode"] == RESERVE + 9 + 4


def test_idle_components_leave_before_the_cache_does():
    plan = plan_memory(FOOTPRINT, demand(), 17)
    assert (plan.offload, plan.cache_on) == (True, "device")
    assert plan.stages["denoise"] == RESERVE + 4 + 5 + 6
    assert plan_memory(FOOTPRINT, demand(), 16).cache_on == "host"


def test_a_mode_without_a_cache_never_moves_one():
    assert plan_memory(FOOTPRINT, demand("coarse"), 11).cache == 0
    with pytest.raises(ConfigError, match=r"mode coarse need 10\.5 GB in stage denoise"):
        plan_memory(FOOTPRINT, demand("coarse"), 10)


def test_single_precision_doubles_the_diffusion_model_and_is_given_up_last():
    wide = plan_memory(FOOTPRINT, demand(full_precision=True), 80)
    assert wide.stages["denoise"] == RESERVE + 13 + 2 * (5 + 6)
    assert plan_memory(FOOTPRINT, demand(full_precision=True), 17).half


@given(st.floats(8, 100), st.sampled_from(["coarse", "fine", "selective"]), st.integers(1, 40))
def test_a_plan_fits_or_is_refused_with_a_larger_number(memory, mode, frames):
    try:
        plan = plan_memory(FOOTPRINT, demand(mode, frames=frames), memory)
    except ConfigError as error:
        needed = float(error.message.split(" need ")[1].split(" GB")[0])
        assert needed >= memory - 0.05
    else:
        assert plan.peak <= memory


@given(st.floats(9.6, 60), st.floats(0, 40))
def test_more_memory_never_needs_more_moves(memory, more):
    def effort(amount):
        plan = plan_memory(FOOTPRINT, demand("coarse", frames=4), amount)
        return plan.offload, plan.one_image

    assert effort(memory + more) <= effort(memory)


def test_overrides_are_keys_of_the_config():
    plan = plan_memory(FOOTPRINT, demand(full_precision=True), 12)
    assert plan.overrides(FOOTPRINT, 12) == [
        "engine.offload=true",
        "engine.cache_on=host",
        "diffusion.vae_batch=1",
        "diffusion.dtype=bfloat16",
    ]


def test_a_cache_on_the_device_may_take_what_is_left():
    """A request in a mode with a larger cache is then refused by the pool, with the numbers."""
    plan = plan_memory(FOOTPRINT, demand("coarse"), 30)
    assert "engine.cache_budget_mb=14500" in plan.overrides(FOOTPRINT, 30)


@pytest.mark.parametrize("name", ["seva-mvsplat", "viewcrafter-dust3r"])
@pytest.mark.parametrize("mode", ["coarse", "fine", "selective"])
def test_the_official_pairs_fit_24_gb(name, mode):
    config = load_config(name)
    assert config.memory is not None
    assert config.size is not None
    asked = Demand(size=config.size, frames=config.memory.frames, mode=mode, full_precision=False)
    assert plan_memory(config.memory, asked, 24).peak <= 24


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24), ("24", 24), ("512MB", 0.512), ("7.5 gb", 7.5)]
)
def test_amounts_are_read(text, size):
    assert read_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "0GB", "-3GB", "3TB", "1e9"])
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match="not an amount of memory"):
        read_memory(text)

import pytest
import torch

from sphinx_framework.errors import StaleCacheError
from sphinx_framework.executors.latent_cache import LatentCache


def recorded(**slots):
    cache = LatentCache()
    cache.begin_record(5)
    for name, value in slots.items():
        cache.put(name, value)
    return cache


def test_a_slot_comes_back_as_it_was_put():
    value = torch.arange(4.0)
    assert torch.equal(recorded(a=value).get("a"), value)


def test_a_missing_slot_raises_and_names_slot_and_step():
    with pytest.raises(StaleCacheError, match=r"'b'.*\(5\)"):
        recorded(a=torch.zeros(1)).get("b")


def test_an_empty_cache_has_nothing_to_read():
    with pytest.raises(StaleCacheError):
        LatentCache().get("a")


def test_putting_a_slot_twice_in_one_pass_raises():
    cache = recorded(a=torch.zeros(1))
    with pytest.raises(ValueError, match="one site per call"):
        cache.put("a", torch.zeros(1))


def test_the_next_full_pass_records_over_the_last():
    cache = recorded(a=torch.zeros(1))
    cache.begin_record(10)
    cache.put("a", torch.ones(1))
    assert float(cache.get("a")) == 1
    assert cache.recorded_step == 10


def test_a_slot_that_the_last_full_pass_left_out_is_gone():
    cache = recorded(a=torch.zeros(1), b=torch.zeros(1))
    cache.begin_record(10)
    cache.put("a", torch.ones(1))
    with pytest.raises(StaleCacheError):
        cache.get("b")


def test_bytes_are_counted_and_their_peak_is_kept():
    cache = recorded(a=torch.zeros(10), b=torch.zeros(3, dtype=torch.float64))
    assert cache.num_bytes == 64
    cache.clear()
    assert cache.num_bytes == 0
    assert cache.bytes_peak == 64
    assert cache.recorded_step is None


def test_slots_are_contiguous_so_that_tiles_are_views_of_them():
    assert recorded(a=torch.zeros(3, 4).T).get("a").is_contiguous()

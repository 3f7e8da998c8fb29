import pytest
import torch

from sphinx_framework.errors import MemoryBudgetError, StaleCacheError
from sphinx_framework.executors.latent_cache import CachePool, LatentCache


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


def test_a_pool_without_budget_lends_any_cache():
    with CachePool().lease(10**15) as cache:
        assert isinstance(cache, LatentCache)


def test_a_lease_beyond_the_budget_is_refused_with_both_numbers():
    with (
        pytest.raises(MemoryBudgetError, match=r"needs 3\.0 MB.*2\.0 MB.*cache_budget_mb"),
        CachePool(2_000_000).lease(3_000_000),
    ):
        pass


def test_leases_share_the_budget_and_give_it_back():
    pool = CachePool(100)
    with pool.lease(60):
        with pytest.raises(MemoryBudgetError), pool.lease(60):
            pass
        with pool.lease(40):
            assert pool.leased_bytes == 100
    assert pool.leased_bytes == 0
    with pool.lease(100):
        pass


def test_a_failed_request_gives_its_budget_and_its_memory_back():
    pool, cache = CachePool(100), LatentCache()

    def fail():
        nonlocal cache
        with pool.lease(60) as cache:
            cache.begin_record(0)
            cache.put("a", torch.zeros(4))
            raise RuntimeError("the job failed")

    with pytest.raises(RuntimeError):
        fail()
    assert cache.bytes_peak == 16
    assert cache.num_bytes == 0
    assert pool.leased_bytes == 0


def test_every_lease_is_a_cache_of_its_own():
    pool = CachePool()
    with pool.lease(0) as first, pool.lease(0) as second:
        first.begin_record(0)
        first.put("a", torch.zeros(1))
        with pytest.raises(StaleCacheError):
            second.get("a")

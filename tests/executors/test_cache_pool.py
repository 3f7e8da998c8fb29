import pytest
import torch

from sphinx_framework.errors import MemoryBudgetError, StaleCacheError
from sphinx_framework.executors.cache_pool import CachePool


def filled(cache, *sizes):
    """One full pass that records slots of so many float32 numbers."""
    cache.begin_record(0)
    for number, size in enumerate(sizes):
        cache.put(f"slot {number}", torch.zeros(size))
    cache.end_record()
    return cache


def test_a_pool_without_budget_lends_any_cache():
    with CachePool().lease("clip") as cache:
        assert filled(cache, 10**6).num_bytes == 4 * 10**6


def test_a_pass_beyond_the_budget_is_refused_with_both_numbers():
    pool = CachePool(2_000_000)
    with (
        pytest.raises(MemoryBudgetError, match=r"needs 3\.0 MB.*2\.0 MB.*cache_budget_mb"),
        pool.lease("clip") as cache,
    ):
        filled(cache, 400_000, 350_000)
    assert pool.leased_bytes == 0


def test_what_does_not_fit_is_let_go_while_it_is_counted():
    pool = CachePool(100)
    with pool.lease("clip") as cache:
        cache.begin_record(0)
        for number in range(9):
            cache.put(str(number), torch.zeros(5))
        assert cache.num_bytes == 0
        assert pool.leased_bytes == 100
        with pytest.raises(ValueError, match="one site per call"):
            cache.put("3", torch.zeros(5))


def test_a_known_need_is_refused_at_once():
    pool = CachePool(100)
    with pytest.raises(MemoryBudgetError), pool.lease("clip") as cache:
        filled(cache, 26)
    with pytest.raises(MemoryBudgetError, match=r"needs 0\.0 MB"), pool.lease("clip"):
        pytest.fail("lent all the same")
    with pool.lease("another clip") as cache:
        filled(cache, 25)


def test_leases_share_the_budget_and_give_it_back():
    pool = CachePool(100)
    with pool.lease("a") as first:
        filled(first, 15)
        with pytest.raises(MemoryBudgetError), pool.lease("b") as second:
            filled(second, 15)
        with pool.lease("c") as third:
            filled(third, 10)
            assert pool.leased_bytes == 100
    assert pool.leased_bytes == 0
    with pool.lease("a") as again:
        assert pool.leased_bytes == 60
        filled(again, 15)
        assert pool.leased_bytes == 60


def test_a_later_pass_that_records_more_is_charged_for_it():
    pool = CachePool(100)
    with pool.lease("clip") as cache:
        filled(cache, 10)
        filled(cache, 10, 5)
        assert pool.leased_bytes == 60
        filled(cache, 3)
        assert pool.leased_bytes == 60


def test_a_failed_request_gives_its_budget_and_its_memory_back():
    pool = CachePool(100)
    kept = []

    def fail():
        with pool.lease("clip") as cache:
            kept.append(filled(cache, 4))
            raise RuntimeError("the job failed")

    with pytest.raises(RuntimeError):
        fail()
    assert kept[0].bytes_peak == 16
    assert kept[0].num_bytes == 0
    assert pool.leased_bytes == 0


def test_every_lease_is_a_cache_of_its_own():
    pool = CachePool()
    with pool.lease("a") as first, pool.lease("a") as second:
        filled(first, 1)
        with pytest.raises(StaleCacheError):
            second.get("slot 0")

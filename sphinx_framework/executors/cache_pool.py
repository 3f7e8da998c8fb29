"""Latent caches within a memory budget: charged as a full pass records, refused with the numbers.

What a network records is known when it has recorded it: nobody runs a live model to find out. The
first full pass of a clip is charged slot by slot; where it passes the budget, its slots are let go
and only counted, and the request ends after that pass with what it needs. The pool remembers the
need of every shape of clip, so that the next such request is refused before any step of it.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Lock

from torch import Tensor

from sphinx_framework.errors import MemoryBudgetError
from sphinx_framework.executors.latent_cache import LatentCache


class CachePool:
    """Hands out one cache per request within a memory budget in bytes; ``None`` is without end."""

    def __init__(self, budget_bytes: int | None = None, *, on_host: bool = False) -> None:
        """``on_host``: the caches lie in the host's memory, which the budget is of."""
        self.budget_bytes = budget_bytes
        self.on_host = on_host
        self.leased_bytes = 0
        self._needs: dict[Hashable, int] = {}
        self._lock = Lock()

    @contextmanager
    def lease(self, clip: Hashable) -> Iterator["LeasedCache"]:
        """Lend a cache for a clip; equal ``clip`` values need equally many bytes.

        Raises :class:`MemoryBudgetError` at once where the need is known and not free.
        """
        known = self._needs.get(clip, 0)
        if not self.grant(known):
            raise self.refusal(known, 0)
        cache = LeasedCache(self, clip, known)
        try:
            yield cache
        finally:
            cache.clear()
            with self._lock:
                self.leased_bytes -= cache.granted_bytes

    def grant(self, more: int) -> bool:
        """Charge more bytes, if that many are free."""
        with self._lock:
            if self.budget_bytes is not None and self.leased_bytes + more > self.budget_bytes:
                return False
            self.leased_bytes += more
            return True

    def remember(self, clip: Hashable, needed: int) -> None:
        """Note what a whole pass of such a clip recorded."""
        self._needs[clip] = max(needed, self._needs.get(clip, 0))

    def refusal(self, needed: int, own: int) -> MemoryBudgetError:
        """The error for a cache that does not fit; ``own``: bytes that it was granted."""
        budget = 0 if self.budget_bytes is None else self.budget_bytes
        free = budget - self.leased_bytes + own
        return MemoryBudgetError(
            f"the latent cache of this request needs {needed / 1e6:.1f} MB, but only "
            f"{free / 1e6:.1f} MB of its budget are free.",
            hint="Raise engine.cache_budget_mb, render fewer targets, or use mode 'coarse'.",
        )


class LeasedCache(LatentCache):
    """A latent cache whose growth a pool has to grant.

    needed_bytes: of the largest pass so far, kept or not. overdrawn: the pool had no more.
    """

    def __init__(self, pool: CachePool, clip: Hashable, granted_bytes: int) -> None:
        super().__init__(on_host=pool.on_host)
        self.granted_bytes = granted_bytes
        self.needed_bytes = 0
        self.overdrawn = False
        self._pool, self._clip = pool, clip
        self._counted = 0

    def begin_record(self, step: int) -> None:
        super().begin_record(step)
        self._counted = 0

    def put(self, slot: str, value: Tensor, *, as_it_lies: bool = False) -> None:
        self._counted += value.numel() * value.element_size()
        missing = self._counted - self.granted_bytes
        if missing > 0 and not self.overdrawn:
            if self._pool.grant(missing):
                self.granted_bytes += missing
            else:
                self.overdrawn = True
                self._slots.clear()
        if self.overdrawn:
            self._once(slot)
        else:
            super().put(slot, value, as_it_lies=as_it_lies)

    def end_record(self) -> None:
        """Remember the need; raises :class:`MemoryBudgetError` when it was not met."""
        self.needed_bytes = max(self.needed_bytes, self._counted)
        self._pool.remember(self._clip, self.needed_bytes)
        if self.overdrawn:
            raise self._pool.refusal(self.needed_bytes, self.granted_bytes)

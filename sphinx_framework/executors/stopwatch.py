"""Seconds of work, also on a device that works on by itself: told without waiting meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch

MILLI = 1e-3
AT_ONCE = ("cpu", "meta")  # devices without a queue


class Stopwatch:
    """Adds up the spans in which it ran.

    On a CPU a span is time on the clock. On any other device it lies between two events in the
    device's queue, whatever the host did; only :attr:`seconds` waits until they have come to pass.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.known = 0.0
        self._events: list[tuple[Any, Any]] = []
        self._share = 1.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time a block."""
        if self.device.type in AT_ONCE:
            started = perf_counter()
            try:
                yield
            finally:
                self.known += perf_counter() - started
            return
        module = torch.get_device_module(self.device)
        begin, end = module.Event(enable_timing=True), module.Event(enable_timing=True)
        begin.record()
        try:
            yield
        finally:
            end.record()
            self._events.append((begin, end))

    def part(self, share: float) -> "Stopwatch":
        """One of several for whom the spans so far ran: it is charged its share of them."""
        part = Stopwatch(self.device)
        part.known, part._share, part._events = self.known * share, share, list(self._events)
        return part

    @property
    def waits(self) -> bool:
        """Whether asking for the seconds may wait for a device."""
        return bool(self._events)

    @property
    def seconds(self) -> float:
        """Of all spans; waits for the device to end the last one."""
        for begin, end in self._events:
            end.synchronize()
            self.known += self._share * MILLI * begin.elapsed_time(end)
        self._events.clear()
        return self.known

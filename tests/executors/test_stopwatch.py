import pytest
import torch

from sphinx_framework.executors import stopwatch
from sphinx_framework.executors.stopwatch import Stopwatch


def test_spans_add_up_on_a_cpu(monkeypatch):
    clock = iter([1.0, 1.25, 7.0, 7.5])
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: next(clock))
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch.running():
            pass
    assert watch.seconds == 0.75
    assert not watch.waits


def test_a_block_that_raises_is_timed_too():
    watch = Stopwatch(torch.device("cpu"))
    with pytest.raises(KeyError), watch.running():
        raise KeyError
    assert watch.seconds > 0


class Queue:
    """Stands in for a device's module; its events come to pass when somebody waits."""

    def __init__(self) -> None:
        self.waits, self.now = 0, 0.0
        queue = self

        class Event:
            def __init__(self, enable_timing: bool = False) -> None:
                assert enable_timing

            def record(self) -> None:
                queue.now += 5
                self.at = queue.now

            def synchronize(self) -> None:
                queue.waits += 1

            def elapsed_time(self, end: "Event") -> float:
                return end.at - self.at

        self.Event = Event


def test_a_device_is_waited_for_only_when_the_seconds_are_asked(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(torch, "get_device_module", lambda device: queue)
    watch = Stopwatch(torch.device("cuda"))
    for _ in range(3):
        with watch.running():
            pass
    assert watch.waits
    assert queue.waits == 0
    assert watch.seconds == pytest.approx(0.015)
    assert queue.waits == 3
    assert watch.seconds == pytest.approx(0.015)
    assert queue.waits == 3

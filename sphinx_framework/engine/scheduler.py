"""The scheduler: requests say which calls of the network they want, a driver answers them.

The road of a request is a generator that yields events and :class:`Call` s, and is sent each call's
prediction. One request's driver is :func:`answered`; :class:`Scheduler` serves several in turn.
"""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from sphinx_framework.engine.events import Event
from sphinx_framework.errors import SphinxError
from sphinx_framework.executors.passes import Call

Said = TypeVar("Said")
Result = TypeVar("Result")

RequestRoad = Generator[Event | Call, Tensor | None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A scheduled request ended with an error; the others go on."""

    error: SphinxError


def answered(road: Generator[Said | Call, Tensor | None, Result]) -> Generator[Said, None, Result]:
    """Drive one request: every call is answered at once, only events come out."""
    answer: Tensor | None = None
    try:
        while True:
            try:
                said = road.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = None
            if isinstance(said, Call):
                answer = said.answer()
            else:
                yield said
    finally:
        road.close()


def relayed(
    road: Generator[Any, Tensor | None, Result], retell: Callable[[Any], Iterable[Event]]
) -> Generator[Event | Call, Tensor | None, Result]:
    """Pass calls and their answers through; events become what ``retell`` makes of them."""
    answer: Tensor | None = None
    try:
        while True:
            try:
                said = road.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = None
            if isinstance(said, Call):
                answer = yield said
            else:
                yield from retell(said)
    finally:
        road.close()


@dataclass(slots=True)
class Running:
    """A submitted request, and the prediction that it waits for."""

    road: RequestRoad
    answer: Tensor | None = None


class Scheduler:
    """Several requests at once, step by step: each gets one call answered per turn.

    Requests may join and be cancelled between any two calls. Every request computes exactly what
    it would alone, so its bytes do not depend on its company.
    """

    def __init__(self) -> None:
        """An empty schedule; one thread drives it."""
        self._running: dict[Hashable, Running] = {}
        self._turns: deque[Hashable] = deque()

    def submit(self, key: Hashable, road: RequestRoad) -> None:
        """Add a request under a name of its own: ``scheduler.submit(1, engine.road(scene))``."""
        if key in self._running:
            raise ValueError(f"a request {key!r} is already running")
        self._running[key] = Running(road)
        self._turns.append(key)

    def cancel(self, key: Hashable) -> None:
        """End a request and give its memory back; unknown names are ignored."""
        running = self._running.pop(key, None)
        if running is not None:
            self._turns.remove(key)
            running.road.close()

    def run(self) -> Iterator[tuple[Hashable, Event | Failed]]:
        """Events of all requests as they come, until none is left."""
        while self._turns:
            key = self._turns[0]
            self._turns.rotate(-1)
            yield from self._turn(key, self._running[key])

    def _turn(self, key: Hashable, running: Running) -> Iterator[tuple[Hashable, Event | Failed]]:
        """Events up to the request's next call, and that call's answer."""
        try:
            while self._running.get(key) is running:
                said = running.road.send(running.answer)
                running.answer = None
                if isinstance(said, Call):
                    running.answer = said.answer()
                    return
                yield key, said
        except StopIteration:
            self.cancel(key)
        except SphinxError as error:
            self.cancel(key)
            yield key, Failed(error=error)

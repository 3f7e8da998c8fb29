"""The scheduler: requests say which calls of the network they want, a driver answers them.

The road of a request is a generator that yields events and :class:`Call` s, and is sent each call's
prediction. One request's driver is :func:`answered`; :class:`Scheduler` serves several in turn.
"""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from sphinx_framework.engine.events import Event
from sphinx_framework.engine.own_arithmetic import without_autocast
from sphinx_framework.executors.passes import Call

Said = TypeVar("Said")
Result = TypeVar("Result")

RequestRoad = Generator[Event | Call, Tensor | None, None]
Together = Callable[[Sequence[Call]], Sequence[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A scheduled request ended with an error; the others go on."""

    error: Exception


def answered(road: Generator[Said | Call, Tensor | None, Result]) -> Generator[Said, None, Result]:
    """Drive one request: every call is answered at once, only events come out."""
    answer: Tensor | None = None
    try:
        while True:
            try:
                with without_autocast():
                    said = road.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = None
            if isinstance(said, Call):
                answer = _answer(said)
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
    """A submitted request: the call that it waits for, and the call's prediction."""

    road: RequestRoad
    call: Call | None = None
    answer: Tensor | None = None


class Scheduler:
    """Several requests at once, step by step: each gets one call answered per round.

    Requests may join and be cancelled between any two calls. Every request computes exactly what
    it would alone, so its bytes do not depend on its company, unless ``together`` answers the
    calls of a round in its own way.
    """

    def __init__(self, together: Together | None = None) -> None:
        """An empty schedule; one thread drives it.

        together: answers several calls at once; without it each is answered alone. Where it
        raises, each call is tried alone, so that only the request at fault fails.
        """
        self._together = together
        self._running: dict[Hashable, Running] = {}

    def submit(self, key: Hashable, road: RequestRoad) -> None:
        """Add a request under a name of its own: ``scheduler.submit(1, engine.road(scene))``."""
        if key in self._running:
            raise ValueError(f"a request {key!r} is already running")
        self._running[key] = Running(road)

    def cancel(self, key: Hashable) -> None:
        """End a request and give its memory back; unknown names are ignored."""
        running = self._running.pop(key, None)
        if running is not None:
            running.road.close()

    def run(self) -> Iterator[tuple[Hashable, Event | Failed]]:
        """Events of all requests as they come, until none is left."""
        while self._running:
            yield from self.round()

    def round(self) -> Iterator[tuple[Hashable, Event | Failed]]:
        """Events of every request up to its next call; then all these calls are answered."""
        for key, running in tuple(self._running.items()):
            yield from self._advanced(key, running)
            if self._together is None:
                yield from self._answered(key, running)
        waiting = [
            (key, running) for key, running in self._running.items() if running.call is not None
        ]
        if self._together is not None and waiting:
            calls = [running.call for _, running in waiting if running.call is not None]
            with (
                suppress(Exception),
                without_autocast(),
            ):  # the answer of each alone says whose fault it was
                pairs = list(zip(waiting, self._together(calls), strict=True))
                for (_, running), answer in pairs:
                    running.call, running.answer = None, answer
        for key, running in waiting:
            yield from self._answered(key, running)

    def _advanced(
        self, key: Hashable, running: Running
    ) -> Iterator[tuple[Hashable, Event | Failed]]:
        """Events up to the request's next call."""
        try:
            while self._running.get(key) is running and running.call is None:
                with without_autocast():
                    said = running.road.send(running.answer)
                running.answer = None
                if isinstance(said, Call):
                    running.call = said
                else:
                    yield key, said
        except StopIteration:
            self.cancel(key)
        except Exception as error:
            self.cancel(key)
            yield key, Failed(error=error)

    def _answered(self, key: Hashable, running: Running) -> Iterator[tuple[Hashable, Failed]]:
        """Answer a request's call, if it still waits for one."""
        if self._running.get(key) is not running or running.call is None:
            return
        try:
            running.answer = _answer(running.call)
            running.call = None
        except Exception as error:
            self.cancel(key)
            yield key, Failed(error=error)


def _answer(call: Call) -> Tensor:
    with without_autocast():
        return call.answer()

"""The events of one request as an iterator that can be closed, and copies that a host may keep."""

from collections.abc import Generator, Iterator
from dataclasses import fields, is_dataclass, replace
from operator import is_not
from types import TracebackType
from typing import Any, Self, TypeVar

from torch import Tensor

from sphinx_framework.engine.events import Event, Finished
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import JobError

Value = TypeVar("Value")
PLAIN = frozenset((int, float, bool, str, type(None)))


class Stream(Iterator[Event]):
    """What :meth:`Engine.stream` returns: coarse views first, frames as they become final.

    The request computes while it is asked for the next event, in the thread that asks. It ends
    with :class:`Finished`, with an error, or by :meth:`close`; then its memory is given back. As a
    context manager it is closed at the end of the block.
    """

    def __init__(self, events: Generator[Event, None, None]) -> None:
        """Take the events of a request whose input has been checked."""
        self._events = events

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End the request, between any two events and any number of times."""
        self._events.close()

    def result(self) -> RenderResult:
        """Run to the end and return the result; raises what the request raises."""
        for event in self:
            if isinstance(event, Finished):
                return event.result
        raise JobError("the request was closed, or its result has been taken already.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def copied(value: Value) -> Value:
    """A value of the road with tensors of its own: whoever holds it may write into it.

    What holds none and cannot be changed is handed on as it is.
    """
    answer: Any = value
    if type(value) in PLAIN:  # a schedule holds thousands
        return value
    if isinstance(value, Tensor):
        answer = value.detach().clone()
    elif isinstance(value, tuple):
        entries = tuple(copied(entry) for entry in value)
        if any(map(is_not, entries, value)):
            answer = entries
    elif is_dataclass(value) and not isinstance(value, type):
        given: Any = value
        held = {f.name: getattr(value, f.name) for f in fields(value)}
        own = {name: copied(entry) for name, entry in held.items()}
        frozen = given.__dataclass_params__.frozen
        if not frozen or any(own[name] is not entry for name, entry in held.items()):
            answer = replace(given, **own)
    copy: Value = answer
    return copy

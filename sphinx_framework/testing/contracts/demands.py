"""Demands on every component's answers that the suites share: they stay, and threads may ask."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from sphinx_framework.testing.contracts.base import Contract

ROUNDS = 3  # two threads may happen to run one after the other
OFTEN = 1e-5  # seconds until a waiting thread has its turn


class Demands(Contract):
    """What each suite asks in the words of its role."""

    @contextmanager
    def stay(self, what: str, *answers: Tensor | None) -> Iterator[None]:
        """Answers keep their values, whatever the component is asked in this block."""
        kept = [(answer, answer.clone()) for answer in answers if answer is not None]
        yield
        for answer, copy in kept:
            self.expect(
                torch.equal(answer, copy),
                f"{what} to stay as they were answered",
                "memory that a later answer was written into",
            )

    def expect_in_threads(self, works: Sequence[Callable[[], Tensor]], what: str) -> None:
        """Pieces of work give in threads of their own, at one time, what they give alone."""
        alone = [work().clone() for work in works]
        for _ in range(ROUNDS):
            for expected, came in zip(alone, _together(works), strict=True):
                if not isinstance(came, Tensor):
                    raise came
                self.expect(
                    torch.equal(expected, came),
                    f"{what} of two requests in two threads as each alone (nothing of a request "
                    "on self)",
                    "another answer",
                )

    def expect_by_content(
        self, ask: Callable[[], Tensor], memory: Tensor, other: Tensor, what: str
    ) -> None:
        """``memory`` is written over with ``other``: the answer follows, and back again."""
        before, first = memory.clone(), ask().clone()
        memory.copy_(other)
        changed = ask().clone()
        memory.copy_(before)
        self.expect(
            not torch.equal(changed, first) and torch.equal(ask(), first),
            f"{what} of what the memory holds now (a store is keyed by content, not by address)",
            f"{what} of what it held before",
        )


def _together(works: Sequence[Callable[[], Tensor]]) -> list[Tensor | BaseException]:
    """What each piece of work answers, or raises, when all start at the same time.

    Threads take turns as often as they can, for a race shows only where they meet.
    """
    answers: list[Tensor | BaseException] = [RuntimeError("a thread that never ran")] * len(works)
    start = threading.Barrier(len(works))

    def run(index: int) -> None:
        start.wait()
        try:
            answers[index] = works[index]()
        except BaseException as error:  # told by the thread that asked
            answers[index] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(works))]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(OFTEN)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    return answers

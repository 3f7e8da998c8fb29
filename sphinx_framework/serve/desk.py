"""A worker's desk: orders come in, preparations go first, refinements share the rounds."""

import shutil
from collections import deque
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from sphinx_framework.engine.events import Event, Finished
from sphinx_framework.engine.preparation import Prepared
from sphinx_framework.engine.scheduler import Failed, Scheduler
from sphinx_framework.engine.together import answered_together
from sphinx_framework.executors.passes import Call
from sphinx_framework.serve.attempt import Attempt, CanceledError, failure
from sphinx_framework.serve.log import reason
from sphinx_framework.serve.wire import GoneError, Line
from sphinx_framework.serve.workbench import Workbench


class Desk:
    """Serves orders until the server is gone; a job's failure is not the worker's."""

    def __init__(self, workbench: Workbench, line: Line, batch: int) -> None:
        """batch: refinements that one call of the network may serve."""
        self.workbench, self.line = workbench, line
        self.scheduler = Scheduler(self._together if batch > 1 else None)
        self.refining: dict[str, Attempt] = {}
        self.calls: list[tuple[int, int]] = []
        self._orders: deque[tuple[str, dict[str, Any]]] = deque()
        self._canceled: set[str] = set()
        self._turn: list[str] = []
        self._latest: tuple[str, int, Prepared] | None = None

    def run(self) -> None:
        """Until the server closes the line: raises :class:`GoneError`."""
        while True:
            self._listen(wait=not self.refining)
            while self._orders:
                kind, order = self._orders.popleft()
                (self._prepare if kind == "prepare" else self._refine)(order)
            self._round()

    def _listen(self, *, wait: bool = False) -> None:
        """Take in every message that is there."""
        while (wait and not self._orders) or self.line.waiting():
            message = self.line.receive()
            for kind in ("prepare", "refine"):
                if kind in message:
                    self._orders.append((kind, message[kind]))
            if "cancel" in message:
                self._canceled.add(message["cancel"])

    def _attempt(self, order: dict[str, Any]) -> Attempt:
        identity = order["job"]

        def send(kind: str, **fields: Any) -> None:
            self.line.send({"job": identity, "attempt": order["attempt"], "kind": kind, **fields})

        def check() -> None:
            self._listen()
            if identity in self._canceled:
                raise CanceledError

        return Attempt(self.workbench, order, send, check)

    def _prepare(self, order: dict[str, Any]) -> None:
        self._say_turn([order["job"]])
        attempt = self._attempt(order)
        try:
            prepared = attempt.prepare(tell=True)
        except GoneError:
            raise
        except Exception as error:
            self._failed(attempt, error)
            return
        self._latest = order["job"], order["attempt"], prepared
        attempt.send("prepared", predicted=prepared.decisions.predicted_seconds)

    def _refine(self, order: dict[str, Any]) -> None:
        self._say_turn([order["job"]])
        attempt = self._attempt(order)
        try:
            prepared = self._prepared(attempt)
            road = self.workbench.engine.road(prepared, seed=order["seed"])
            self.scheduler.submit(order["job"], road)
        except GoneError:
            raise
        except Exception as error:
            self._failed(attempt, error)
            return
        self.refining[order["job"]] = attempt

    def _prepared(self, attempt: Attempt) -> Prepared:
        """What was prepared just now, or once more from what is known of the scene."""
        latest, self._latest = self._latest, None
        order = attempt.order
        if latest is not None and latest[:2] == (order["job"], order["attempt"]):
            attempt.took.pop(latest[:2], None)
            return latest[2]
        return attempt.prepare(tell=False)

    def _round(self) -> None:
        """One call of the network for every refinement."""
        if self.refining:
            self._say_turn(list(self.refining))
        for key, said in self.scheduler.round():
            attempt = self.refining[str(key)]
            if isinstance(said, Failed):
                self._failed(attempt, said.error)
                continue
            try:
                self._heard(attempt, said)
            except GoneError:
                raise
            except Exception as error:
                self._failed(attempt, error)

    def _heard(self, attempt: Attempt, said: Event) -> None:
        attempt.check()
        if not isinstance(said, Finished):
            attempt.tell(said)
            return
        done = attempt.finish(said.result)
        self._over(attempt)
        attempt.send("done", **done, calls=self._counted_calls())

    def _failed(self, attempt: Attempt, error: Exception) -> None:
        self._over(attempt)
        if isinstance(error, CanceledError):
            attempt.send("canceled")
            return
        attempt.send("failed", cause=reason(error), error=failure(error))

    def _over(self, attempt: Attempt) -> None:
        identity = attempt.order["job"]
        self.scheduler.cancel(identity)  # gives the latent cache back
        self.refining.pop(identity, None)
        self._canceled.discard(identity)
        staging = attempt.folder / f"staging-{attempt.order['attempt']}"
        shutil.rmtree(staging, ignore_errors=True)

    def _say_turn(self, jobs: list[str]) -> None:
        """Whose work begins: the server charges time, and a death, to these jobs."""
        if jobs != self._turn:
            self._turn = jobs
            self.line.send({"turn": jobs})

    def _together(self, calls: Sequence[Call]) -> list[Tensor]:
        answers, counts = answered_together(calls)
        self.calls += counts
        return answers

    def _counted_calls(self) -> list[tuple[int, int]]:
        """Requests and rows of every shared call since the last time."""
        calls, self.calls = self.calls, []
        return calls

"""One attempt at a job, from its order to its files; everything is told to the server."""

import math
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.engine.events import (
    CoarseReady,
    Event,
    Finished,
    FrameFinal,
    Planned,
    StageDone,
    StepDone,
)
from sphinx_framework.errors import InputError, JobError, SceneError
from sphinx_framework.scenes.images import write_png
from sphinx_framework.serve.job_files import describe, publish_result, publish_with
from sphinx_framework.serve.job_report import mask_cells, measured, plan_view, redact
from sphinx_framework.serve.problems import job_error
from sphinx_framework.serve.wire import Line
from sphinx_framework.serve.workbench import Workbench
from sphinx_framework.types import Scene

PROGRESS_SECONDS = 0.1
_PATH = re.compile(r"(?<![\w.])/[^\s/'\"]+/[^\s'\"]*")  # of the server: no client's to read
Send = Callable[..., None]


class CanceledError(Exception):
    """The server asked to stop."""


class NotFiniteError(Exception):
    """A view holds NaN or infinity."""


def serve_job(workbench: Workbench, order: dict[str, Any], line: Line) -> None:
    """Run an attempt; its last message says how it ended. A job's failure is not the worker's."""

    def send(kind: str, **fields: Any) -> None:
        line.send({"job": order["job"], "attempt": order["attempt"], "kind": kind, **fields})

    try:
        done = Attempt(workbench, order, line, send).run()
    except CanceledError:
        send("canceled")
    except (EOFError, OSError) as error:
        if not isinstance(error, FileNotFoundError | PermissionError):
            raise
        send("failed", error=job_error("internal", "The job's files could not be written."))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        send("failed", error=failure(error))
    else:
        send("done", **done)


class Attempt:
    """The state of one attempt."""

    def __init__(self, workbench: Workbench, order: dict[str, Any], line: Line, send: Send) -> None:
        self.workbench, self.order, self.line, self.send = workbench, order, line, send
        self.folder = Path(order["folder"])
        self.files = self.folder / "files"
        self._last_progress = -math.inf
        self.plan: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Compute and write everything; the answer lists the files and what was measured."""
        order = self.order
        for name in ("frames", "coarse"):
            (self.files / name).mkdir(parents=True, exist_ok=True)
        self.progress("load", 0, 1)
        began = perf_counter()
        scene, at_hand = self.workbench.scene(order)
        load_seconds = perf_counter() - began
        self.send("cache", hit=at_hand, bytes=self.workbench.used_bytes)
        self.check_cancel()
        self.progress("regression", 0, 1)
        stream = self.workbench.engine.stream(
            scene,
            quality=order["quality"],
            mode=order["mode"],
            seed=order["seed"],
            budget_ms=order["budget_ms"],
        )
        try:
            for event in stream:
                self.check_cancel()
                if isinstance(event, Finished):
                    report = event.result.report
                    report.seconds.load = load_seconds
                    report.seconds.total += load_seconds
                    redact(report, order["scene"]["path"])
                    self.progress("write", 0, 1)
                    staging = self.folder / f"staging-{order['attempt']}"
                    files = publish_result(event.result, staging, self.files, self.check_cancel)
                    return {"files": files, "measured": measured(report)}
                self.tell(event, scene)
        finally:
            stream.close()  # gives the latent cache back
        raise JobError("the engine ended without a result")

    def tell(self, event: Event, scene: Scene) -> None:
        """Write what an event brought, then say so."""
        match event:
            case CoarseReady(coarse=coarse):
                images = coarse.images.detach().cpu()
                check_finite(images, "a regression view")
                for index, image in enumerate(images):
                    self.picture("preview", "coarse", index, image)
                self.progress("plan", 0, 1)
            case Planned(schedules=schedules):
                diffusion = self.workbench.engine.components.diffusion
                self.plan = plan_view(
                    event, diffusion.layouts(scene), self.order, self.workbench.engine.config
                )
                self.send("plan", plan=self.plan, masks=mask_cells(event.mask))
                total = sum(len(schedule.actions) for schedule in schedules)
                if total:
                    self.progress("encode", 0, 1)
            case StepDone(done=done, total=total):
                self.progress("denoise", done, total, keep=done == total)
                if done == total:
                    self.progress("decode", 0, 1)
            case FrameFinal(index=index, image=image, served=served):
                check_finite(image, "a frame")
                self.picture("frame", "frames", index, image, served=served)
            case StageDone() | _:
                pass

    def picture(self, kind: str, folder: str, index: int, image: Tensor, **fields: str) -> None:
        """A finished view: on disk first, then told."""
        path = self.files / folder / f"{index:03d}.png"
        publish_with(path, lambda part: write_png(part, image))
        self.send(kind, index=index, file=describe(self.files, path), **fields)

    def progress(self, stage: str, step: int, total: int, *, keep: bool = True) -> None:
        """At most ten a second within a stage; changes of stage are always told."""
        now = monotonic()
        if keep or now - self._last_progress >= PROGRESS_SECONDS:
            self._last_progress = now
            self.send("progress", stage=stage, step=step, total=total)

    def check_cancel(self) -> None:
        """Raise :class:`CanceledError` if the server said so meanwhile."""
        while self.line.waiting():
            if self.line.receive().get("cancel") == self.order["job"]:
                shutil.rmtree(self.folder / f"staging-{self.order['attempt']}", ignore_errors=True)
                raise CanceledError


def check_finite(values: Tensor, what: str) -> None:
    """Raise :class:`NotFiniteError`: such a view would be a black picture."""
    if not bool(torch.isfinite(values).all()):
        raise NotFiniteError(what)


def failure(error: Exception) -> dict[str, str]:
    """A job's error for what was raised; texts of unknown errors may hold paths and stay out."""
    match error:
        case NotFiniteError():
            return job_error("not-finite", f"The model computed NaN or infinity in {error}.")
        case SceneError():
            return job_error("scene-invalid", error.message, error.hint)
        case torch.OutOfMemoryError() | MemoryError():
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return job_error("out-of-memory", "The device has not enough memory for this job.")
        case JobError() | InputError():
            kind = getattr(error, "kind", "")
            name = kind if kind in ("not-finite", "out-of-memory") else "model-failed"
            return job_error(name, _PATH.sub("(a path)", error.message), error.hint)
        case _:
            return job_error("model-failed", f"The model raised {type(error).__name__}.")

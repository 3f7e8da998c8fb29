"""One attempt at a job in two stages, prepared and refined; everything is told to the server."""

import math
import re
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.events import CoarseReady, Event, FrameFinal, Planned, StepDone
from sphinx_framework.engine.preparation import Prepared
from sphinx_framework.engine.result import RenderResult, Seconds
from sphinx_framework.errors import InputError, JobError, SceneError
from sphinx_framework.folders.guard import says_full
from sphinx_framework.scenes.images import write_png
from sphinx_framework.serve.degrade import affordable
from sphinx_framework.serve.job_files import describe, publish_result, publish_with
from sphinx_framework.serve.job_report import (
    estimated_cameras,
    mask_cells,
    measured,
    plan_view,
    redact,
)
from sphinx_framework.serve.ladder import cost_ladder
from sphinx_framework.serve.problems import job_error
from sphinx_framework.serve.workbench import Known, Workbench
from sphinx_framework.witness import out_of_memory

PROGRESS_SECONDS = 0.1
REMEMBERED = 1000
_PATH = re.compile(r"(?<![\w.])/[^\s/'\"]+/[^\s'\"]*")  # of the server: no client's to read
Send = Callable[..., None]


class CanceledError(Exception):
    """The server asked to stop."""


class NotFiniteError(Exception):
    """A view holds NaN or infinity."""


class Attempt:
    """One stage of an attempt; ``check`` raises :class:`CanceledError` when it should end."""

    # What preparations took that are refined later, by job and attempt: the report counts them in.
    took: OrderedDict[tuple[str, int], Seconds] = OrderedDict()

    def __init__(
        self, workbench: Workbench, order: dict[str, Any], send: Send, check: Callable[[], None]
    ) -> None:
        self.workbench, self.order, self.send, self.check = workbench, order, send, check
        self.folder = Path(order["folder"])
        self.files = self.folder / "files"
        self._planned: Planned | None = None
        self._last_progress = -math.inf
        self._identity = order["job"], order["attempt"]

    @property
    def engine(self) -> Engine:
        """The worker's."""
        return self.workbench.engine

    def prepare(self, *, tell: bool) -> Prepared:
        """Everything before diffusion; with ``tell``, views and plan are published."""
        order = self.order
        for name in ("frames", "coarse"):
            (self.files / name).mkdir(parents=True, exist_ok=True)
        if tell:
            self.progress("load", 0, 1)
        began = perf_counter()
        known, at_hand = self.workbench.known(order)
        load_seconds = perf_counter() - began
        self.check()
        if tell:
            self.send("cache", hit=at_hand, bytes=self.workbench.used_bytes)
            self.progress("regression", 0, 1)
        hear = self.tell_preparation if tell else lambda _: self.check()
        prepared = self._prepared(known, hear)
        known.coarse, known.report = prepared.coarse, prepared.report
        self.workbench.keep(known)
        prepared.seconds.load = load_seconds
        prepared.seconds.total += load_seconds
        if tell:
            self._remember(prepared.seconds)
            self._tell_plan(prepared, estimated=known.estimated)
            return prepared
        return replace(prepared, seconds=self.took.pop(self._identity, prepared.seconds))

    def _prepared(self, known: Known, hear: Callable[[Event], None]) -> Prepared:
        order = self.order
        reused: dict[str, Any] = {"coarse": known.coarse, "report": known.report}
        if order["room_seconds"] is None:
            return self.engine.prepare(
                known.scene,
                quality=order["quality"],
                mode=order["mode"],
                budget_ms=order["budget_ms"],
                hear=hear,
                **reused,
            )
        return affordable(self.engine, known.scene, order, hear, reused)

    def _remember(self, seconds: Seconds) -> None:
        self.took[self._identity] = seconds.model_copy()
        while len(self.took) > REMEMBERED:
            self.took.popitem(last=False)

    def tell_preparation(self, event: Event) -> None:
        """Publish regression views; the plan is told once all of it is known."""
        self.check()
        match event:
            case CoarseReady(coarse=coarse):
                images = coarse.images.detach().cpu()
                check_finite(images, "a regression view")
                for index, image in enumerate(images):
                    self.picture("preview", "coarse", index, image)
                self.progress("plan", 0, 1)
            case Planned():
                self._planned = event

    def _tell_plan(self, prepared: Prepared, *, estimated: bool) -> None:
        assert self._planned is not None
        layouts = prepared.decisions.layouts
        plan = plan_view(self._planned, layouts, self.order, self.engine.config)
        plan["ladder"] = cost_ladder(self.engine, prepared)
        more = {"masks": mask_cells(self._planned.mask)}
        if estimated:  # nobody else knows them
            more["cameras"] = estimated_cameras(prepared.scene)
        self.send("plan", plan=plan, more=more)

    def tell(self, event: Event) -> None:
        """Write what an event of the refinement brought, then say so."""
        match event:
            case Planned(schedules=schedules):
                if sum(len(schedule.actions) for schedule in schedules):
                    self.progress("encode", 0, 1)
            case StepDone(done=done, total=total):
                self.progress("denoise", done, total, keep=done == total)
                if done == total:
                    self.progress("decode", 0, 1)
            case FrameFinal(index=index, image=image, served=served):
                check_finite(image, "a frame")
                self.picture("frame", "frames", index, image, served=served)

    def finish(self, result: RenderResult) -> dict[str, Any]:
        """Write everything; the answer lists the files and what was measured."""
        redact(result.report, self.order["scene"]["path"])
        self.progress("write", 0, 1)
        staging = self.folder / f"staging-{self.order['attempt']}"
        files = publish_result(result, staging, self.files, self.check)
        return {"files": files, "measured": measured(result.report)}

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


def check_finite(values: Tensor, what: str) -> None:
    """Raise :class:`NotFiniteError`: such a view would be a black picture."""
    if not bool(torch.isfinite(values).all()):
        raise NotFiniteError(what)


def failure(error: Exception) -> dict[str, str]:
    """A job's error for what was raised; texts of unknown errors may hold paths and stay out."""
    traceback.clear_frames(error.__traceback__)  # its frames hold the tensors of the job
    match error:
        case NotFiniteError():
            return job_error("not-finite", f"The model computed NaN or infinity in {error}.")
        case SceneError():
            return job_error("scene-invalid", error.message, error.hint)
        case _ if out_of_memory(error):
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return job_error("out-of-memory", "The device has not enough memory for this job.")
        case JobError() | InputError():
            kind = getattr(error, "kind", "")
            name = kind if kind in ("not-finite", "out-of-memory") else "model-failed"
            return job_error(name, _PATH.sub("(a path)", error.message), error.hint)
        case OSError() if says_full(error):
            return job_error(
                "internal",
                "The server's disk is full: the job's files could not be written.",
                "Delete finished jobs, or come back later.",
            )
        case OSError():
            return job_error("internal", "The job's files could not be written.")
        case _:
            return job_error("model-failed", f"The model raised {type(error).__name__}.")

"""The road of a request as log lines: what ``--debug`` shows."""

from collections.abc import Iterator

from sphinx_framework.engine.events import Event, Finished, FrameFinal, Planned, StageDone, StepDone
from sphinx_framework.engine.stream import copied
from sphinx_framework.logs import get_logger, listening
from sphinx_framework.registry import Registry

CANNOT = ("no_subsets", "no_sparsity")  # the model is not able to; tiles that do not pay are a plan


def heard(request: str, registry: Registry | None, event: Event) -> Iterator[Event]:
    """Pass an event on after the log and the plugins that observe have heard it."""
    log_event(request, event)
    if registry is not None and registry.observed:
        registry.observe(copied(event))  # what one writes into it reaches nobody else
    yield event


def log_event(request: str, event: Event) -> None:
    """Write an event's line; doing less than the mode asks for is a warning.

    request: what tells the lines of one request from those of another.
    """
    if isinstance(event, Planned):
        for schedule in event.schedules:
            for lowering in schedule.lowered:
                if lowering.kind in CANNOT:
                    get_logger("engine").warning("lowered", request=request, why=lowering.note)
    if not listening():
        return
    log = get_logger("engine").bind(request=request)
    match event:
        case StageDone(stage=stage, seconds=seconds):
            log.info("stage done", stage=stage, seconds=round(seconds, 4))
        case Planned(schedules=schedules):
            for clip, schedule in enumerate(schedules):
                log.info("planned", clip=clip, schedule=schedule.text(), notes=schedule.notes)
        case StepDone(action=action, kind=kind, done=done, total=total, seconds=seconds):
            log.debug(
                "step done",
                action=action,
                kind=kind,
                of=f"{done}/{total}",
                seconds=None if seconds is None else round(seconds, 4),
            )
        case FrameFinal(index=index, served=served):
            log.debug("frame final", index=index, served=served)
        case Finished(result=result):
            log.info("finished", seconds=round(result.report.seconds.total, 4))
        case _:
            pass

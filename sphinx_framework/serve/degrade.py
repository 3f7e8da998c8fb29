"""Lower quality instead of a long wait: the largest measured quality that fits the room left."""

from collections.abc import Callable
from typing import Any

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.events import Event, Planned
from sphinx_framework.engine.preparation import Prepared, planned
from sphinx_framework.policy.schedule import METHOD_MODES
from sphinx_framework.protocols import MeasuredQualities
from sphinx_framework.types import Scene


def lower_qualities(engine: Engine, quality: float) -> tuple[float, ...]:
    """Measured qualities below one, the largest first; none where the step policy knows none."""
    policy = engine.components.steps
    known = policy.qualities if isinstance(policy, MeasuredQualities) else ()
    return tuple(value for value in sorted(known, reverse=True) if value < quality)


def affordable(
    engine: Engine,
    scene: Scene,
    order: dict[str, Any],
    hear: Callable[[Event], object],
    reused: dict[str, Any],
) -> Prepared:
    """Prepare with the largest lower quality predicted to fit ``order["room_seconds"]``.

    Where none does, the regression views are served. What was chosen is written into the order
    before ``hear`` is told the plan; regression and scores run once.
    """

    def without_plan(event: Event) -> None:
        if not isinstance(event, Planned):
            hear(event)

    asked: dict[str, Any] = {"quality": order["quality"], "budget_ms": order["budget_ms"]}
    chosen = engine.prepare(scene, mode="regression", hear=without_plan, **asked, **reused)
    reused = {"coarse": chosen.coarse, "report": chosen.report}
    ladder = lower_qualities(engine, order["quality"]) if order["mode"] in METHOD_MODES else ()
    for quality in ladder if order["room_seconds"] > 0 else ():
        tried = engine.prepare(scene, mode=order["mode"], **{**asked, "quality": quality}, **reused)
        seconds = tried.decisions.predicted_seconds
        if seconds is not None and seconds <= order["room_seconds"]:
            tried.seconds.regression, tried.seconds.quality = (
                chosen.seconds.regression,
                chosen.seconds.quality,
            )
            chosen = tried
            break
    order["mode"], order["quality"] = chosen.mode, chosen.quality
    hear(planned(chosen.decisions))
    return chosen

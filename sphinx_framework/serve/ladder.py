"""What other qualities of a planned request would cost: the page shows it beside the dial."""

from typing import Any

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.preparation import Prepared
from sphinx_framework.policy.schedule import METHOD_MODES
from sphinx_framework.protocols import MeasuredQualities

MOST_RUNGS = 12


def cost_ladder(engine: Engine, prepared: Prepared) -> list[dict[str, float]]:
    """Predicted seconds per measured quality of the same scene and mode, rising by quality.

    Only plans are made, from the views and scores at hand. Empty where the mode has no dial, the
    step policy names no qualities, or the cost table predicts nothing.
    """
    policy = engine.components.steps
    known = policy.qualities if isinstance(policy, MeasuredQualities) else ()
    if prepared.mode not in METHOD_MODES or prepared.decisions.predicted_seconds is None:
        return []
    rungs = []
    for quality in sorted(known)[-MOST_RUNGS:]:
        reused: dict[str, Any] = {"coarse": prepared.coarse, "report": prepared.report}
        tried = engine.prepare(prepared.scene, mode=prepared.mode, quality=quality, **reused)
        seconds = tried.decisions.predicted_seconds
        if seconds is not None:
            rungs.append({"quality": quality, "predicted_seconds": round(seconds, 6)})
    return rungs

"""Everything before diffusion as a value: coarse views, scores and decisions.

Coarse views and scores depend on neither quality, mode, budget nor seed, so a host that keeps them
answers the next request on the same scene at once, with the same bytes.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.admission import check_reused
from sphinx_framework.engine.decisions import Decisions, assess, decide
from sphinx_framework.engine.emptiness import said_of_emptiness
from sphinx_framework.engine.events import CoarseReady, Event, Planned
from sphinx_framework.engine.own_arithmetic import without_autocast
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.result import Seconds
from sphinx_framework.engine.stream import copied
from sphinx_framework.errors import ConfigError, printable
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.protocols import RegressionModel, RememberingRegression
from sphinx_framework.types import CoarseViews, QualityReport, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What :meth:`Engine.prepare` returns and :meth:`Engine.stream` takes, any number of times.

    scene, coarse: on the engine's device. seconds: of the preparation; a report counts them in.
    config: the pipeline's, with the request's budgets. memory: what the regression stage keeps of
        this scene for :meth:`Engine.prepare` with more photos or other targets; ``None`` where it
        keeps nothing.
    """

    scene: Scene
    config: PipelineConfig
    mode: Mode
    quality: float
    coarse: CoarseViews
    decisions: Decisions
    seconds: Seconds
    warnings: tuple[str, ...]
    memory: Any = None

    @property
    def report(self) -> QualityReport:
        """Scores and ratios, for reuse with another quality, mode or budget."""
        return self.decisions.quality


Preparation = Generator[Event, Any, Prepared]


def preparing(
    request: Request,
    coarse: CoarseViews | None = None,
    report: QualityReport | None = None,
    *,
    pace: float,
    memory: Any = None,
) -> Preparation:
    """Run what was not handed in, saying what is done; returns the prepared request."""
    components, scene = request.components, request.scene
    if coarse is None:
        if request.mode != "regression":
            components.diffusion.layouts(scene)  # what it refuses must not cost a render first
        with request.timing("regression"), torch.no_grad():
            coarse = _rendered(components.regression, scene, memory)
        yield request.done("regression")
    request.warnings.extend(map(printable, coarse.warnings))
    name = request.config.pipeline["regression"].use
    request.warnings.extend(said_of_emptiness(coarse, scene, name))
    yield CoarseReady(coarse=copied(coarse))
    if report is None:
        with request.timing("quality"), torch.no_grad():
            rendered = coarse
            report = assess(
                components, request.config, scene, coarse, lambda: request.known(rendered)
            )
        yield request.done("quality")
    if not bool((report.input_score > 0).any()):
        name = request.config.pipeline["quality"].use
        request.warnings.append(f"quality {name!r} scores every photo 0: its ratios say nothing")
    with request.timing("plan"), torch.no_grad():
        decisions = decide(
            components,
            request.config,
            scene,
            coarse,
            report,
            mode=request.mode,
            quality=request.quality,
        ).at_pace(pace)
    request.warnings.extend(map(printable, decisions.start_steps.warnings))
    yield request.done("plan")
    yield planned(decisions)
    return Prepared(
        scene=scene,
        config=request.config,
        mode=request.mode,
        quality=request.quality,
        coarse=coarse,
        decisions=decisions,
        seconds=request.seconds.model_copy(),
        warnings=tuple(request.warnings),
        memory=memory,
    )


def prepared_at_once(
    request: Request,
    coarse: CoarseViews | None,
    report: QualityReport | None,
    memory: Any,
    hear: Callable[[Event], object] | None = None,
    *,
    pace: float,
) -> Prepared:
    """The same at once, telling only ``hear``; the seconds say how long it took.

    memory: as given, or an empty one where the model keeps one. Raises :class:`SceneError` for
    results of another scene.
    """
    check_reused(request.scene, coarse, report)
    began = perf_counter()
    memory = scene_memory(request.components.regression, memory)
    events = preparing(request, coarse, report, pace=pace, memory=memory)
    while True:
        try:
            with without_autocast():
                event = next(events)
        except StopIteration as end:
            prepared: Prepared = end.value
            prepared.seconds.total = perf_counter() - began
            return prepared
        if hear is not None:
            hear(event)


def scene_memory(model: RegressionModel, given: Any = None) -> Any:
    """The memory of a scene: as given, or an empty one of a model that remembers, or ``None``.

    Raises :class:`ConfigError` for a memory that the model has no use for.
    """
    make = getattr(model, "scene_memory", None)
    if given is not None and make is None:
        raise ConfigError(
            "memory was handed over, but this pipeline's regression stage keeps none.",
            hint="Leave memory out; Prepared.memory is None for such a stage.",
        )
    return make() if given is None and make is not None else given


def _rendered(model: RegressionModel, scene: Scene, memory: Any) -> CoarseViews:
    """Coarse views, by what the model remembers of the scene where it can and may."""
    if memory is None:
        return model.predict(scene)
    remembering: RememberingRegression = model  # type: ignore[assignment]
    return remembering.predict(scene, memory)


def told_again(prepared: Prepared) -> Preparation:
    """The events of a preparation that ran before the stream began."""
    yield CoarseReady(coarse=copied(prepared.coarse))
    yield planned(prepared.decisions)
    return prepared


def planned(decisions: Decisions) -> Planned:
    """What decisions say to whoever watches, in copies; the coarse views were told before."""
    return Planned(
        quality=copied(replace(decisions.quality, coarse=None)),
        mask=copied(decisions.mask),
        schedules=copied(decisions.schedules),
        predicted_denoise_seconds=decisions.predicted_denoise_seconds,
        predicted_seconds=decisions.predicted_seconds,
        objective=decisions.start_steps.objective,
    )

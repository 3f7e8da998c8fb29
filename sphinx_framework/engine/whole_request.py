"""One request from end to end: its state, and the road from preparation to result."""

from time import perf_counter

import torch

from sphinx_framework.config import PipelineConfig
from sphinx_framework.energy.choose import check_meter, choose_meter
from sphinx_framework.energy.meter import measure_energy
from sphinx_framework.engine.admission import BUDGETS, admitted, granted
from sphinx_framework.engine.answers import checked
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.events import Finished
from sphinx_framework.engine.own_arithmetic import check_default_type, without_autocast
from sphinx_framework.engine.preparation import Preparation, Prepared, told_again
from sphinx_framework.engine.report import build_report
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.result import RenderResult, Seconds
from sphinx_framework.engine.road import Road
from sphinx_framework.engine.scheduler import RequestRoad
from sphinx_framework.engine.stream import copied
from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.cache_pool import CachePool
from sphinx_framework.policy.pace import Pace
from sphinx_framework.request import RenderRequest
from sphinx_framework.types import Scene


def opened(
    components: Components,
    config: PipelineConfig,
    scene: Scene,
    wishes: RenderRequest,
    device: torch.device,
    load_seconds: float,
) -> Request:
    """The state of a new request; raises subclasses of ``InputError`` for what cannot be done."""
    config, mode, quality = granted(wishes, config)
    check_meter(config.engine.energy)
    check_default_type()
    guarded = checked(components, config)
    with without_autocast():
        scene = admitted(scene, guarded, config, mode, device)
    return Request(
        components=guarded,
        config=config,
        scene=scene,
        mode=mode,
        quality=quality,
        seed=wishes.seed,
        seconds=Seconds(load_models=load_seconds),
        warnings=[*scene.warnings, *components.warnings],
    )


def resumed(
    components: Components, config: PipelineConfig, prepared: Prepared, wishes: RenderRequest
) -> tuple[Request, Preparation]:
    """A request whose preparation ran before; only its seed may be wished for.

    Raises :class:`ConfigError` for other wishes, and for what an engine of another config prepared.
    """
    budgets = {name: getattr(config.engine, name) for name in BUDGETS}
    own = prepared.config.engine.model_copy(update=budgets)
    if prepared.config.model_copy(update={"engine": own}) != config:
        raise ConfigError(
            "the scene was prepared by an engine of another config.",
            hint="Prepare it with this engine, or render it with that one.",
        )
    if wishes != RenderRequest(seed=wishes.seed):
        raise ConfigError(
            "a prepared scene has its quality, mode and budgets.",
            hint="Give them to prepare(); coarse= and report= reuse what was computed.",
        )
    request = Request(
        components=checked(components, prepared.config),
        config=prepared.config,
        scene=prepared.scene,
        mode=prepared.mode,
        quality=prepared.quality,
        seed=wishes.seed,
        seconds=prepared.seconds.model_copy(),
        warnings=list(prepared.warnings),
    )
    return request, told_again(prepared)


def whole_road(
    request: Request,
    preparation: Preparation,
    components: Components,
    device: torch.device,
    caches: CachePool,
    pace: Pace,
) -> RequestRoad:
    """Prepare, refine, report: ends with the result.

    components: as built, without guards; the report tells what they are.
    """
    elsewhere = request.seconds.total
    began = perf_counter() - elsewhere
    meter = choose_meter(request.config.engine.energy, device)
    with measure_energy(meter) as request.energy:
        ready = yield from preparation
        road = Road(
            request=request,
            caches=caches,
            pace=pace,
            coarse=ready.coarse,
            images=ready.coarse.images.clone(),
        )
        refined = yield from road.run(ready.decisions)
    if elsewhere and request.energy.joules is not None:
        request.energy.note += "; without the preparation"
    request.seconds.total = perf_counter() - began
    report = build_report(
        components,
        request.config,
        device,
        request=request,
        decisions=refined.decisions,
        achieved=refined.achieved,
        images=refined.images,
    )
    result = RenderResult(
        images=copied(refined.images).cpu(),
        coarse=copied(ready.coarse),
        mask=copied(ready.decisions.mask),
        scene=copied(request.scene),
        schedules=copied(refined.decisions.schedules),
        report=report,
    )
    yield Finished(result=result)

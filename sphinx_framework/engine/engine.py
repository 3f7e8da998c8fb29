"""The road of a request: scene in, images and their reasons out."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from sphinx_framework.config import PipelineConfig, load_config, overridden
from sphinx_framework.energy.choose import check_meter, choose_meter
from sphinx_framework.energy.meter import measure_energy
from sphinx_framework.engine.admission import admitted, check_reused, granted
from sphinx_framework.engine.answers import checked
from sphinx_framework.engine.components import (
    Components,
    build_components,
    choose_device,
    pipeline_licences,
    refuse_non_commercial,
)
from sphinx_framework.engine.decisions import Decisions
from sphinx_framework.engine.events import Event, Finished
from sphinx_framework.engine.log_lines import log_event
from sphinx_framework.engine.preparation import (
    Preparation,
    Prepared,
    preparing,
    scene_memory,
    told_again,
)
from sphinx_framework.engine.report import build_report
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.result import RenderResult, Seconds
from sphinx_framework.engine.road import Road
from sphinx_framework.engine.scheduler import RequestRoad, answered, relayed
from sphinx_framework.engine.stream import Stream, copied
from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.cache_pool import CachePool
from sphinx_framework.policy.pace import Pace
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry
from sphinx_framework.request import RenderRequest
from sphinx_framework.types import CoarseViews, QualityReport, Scene


class Engine:
    """Serves requests with one set of components; requests may be interleaved."""

    def __init__(
        self,
        components: Components,
        config: PipelineConfig,
        device: torch.device | None = None,
        registry: Registry | None = None,
    ) -> None:
        """Take built components; :meth:`from_config` builds them from a pipeline file."""
        self.components = components
        self.config = config
        self.device = device or torch.device("cpu")
        self.registry = registry
        self.load_seconds = 0.0
        self.pace = Pace()
        self._numbers = count(1)
        budget = config.engine.cache_budget_mb
        self.caches = CachePool(None if budget is None else int(budget * 1e6))
        if config.engine.threads is not None:
            torch.set_num_threads(config.engine.threads)

    @classmethod
    def from_config(
        cls,
        config: str | Path | PipelineConfig,
        *,
        device: str | torch.device = "auto",
        overrides: Sequence[str] = (),
        registry: Registry | None = None,
        licence_policy: str = "any",
    ) -> "Engine":
        """Build an engine from a shipped pipeline's name, a TOML path or a config.

        overrides: ``"a.b=value"``, as ``--set`` on the command line, for a config value too.
        licence_policy: ``"permissive"`` refuses components whose code or weights are
        non-commercial. Raises subclasses of ``InputError`` for everything a user can mend.
        """
        where = config.name if isinstance(config, PipelineConfig) else str(config)
        if isinstance(config, PipelineConfig):
            config = overridden(config, overrides)
        else:
            config = load_config(config, overrides)
        registry = registry or Registry.from_entry_points()
        if licence_policy not in ("any", "permissive"):
            raise ConfigError(f"licence policy {licence_policy!r} is not 'any' or 'permissive'.")
        if licence_policy == "permissive":
            refuse_non_commercial(pipeline_licences(config, registry))
        chosen = choose_device(str(device))
        started = perf_counter()
        engine = cls(build_components(config, registry, chosen, where), config, chosen, registry)
        engine.load_seconds = perf_counter() - started
        return engine

    def render(
        self,
        scene: Scene | Prepared,
        *,
        quality: float | None = None,
        mode: Mode | None = None,
        seed: int = 0,
        budget_ms: float | None = None,
        budget_joules: float | None = None,
    ) -> RenderResult:
        """Render all targets; same scene, config, seed and device give the same bytes.

        quality: in (0, 1], share of full diffusion's quality to keep (default: the config's).
        mode: ``coarse``, ``fine``, ``selective``, or the baselines ``diffusion``, ``regression``.
        budget_ms, budget_joules: predicted time and energy to stay within (default: the config's).
        """
        return self.stream(
            scene,
            quality=quality,
            mode=mode,
            seed=seed,
            budget_ms=budget_ms,
            budget_joules=budget_joules,
        ).result()

    def plan(
        self, scene: Scene, *, quality: float | None = None, mode: Mode | None = None
    ) -> tuple[CoarseViews, Decisions]:
        """Stop before diffusion: the coarse views and everything decided from them."""
        prepared = self.prepare(scene, quality=quality, mode=mode)
        return prepared.coarse, prepared.decisions

    def prepare(
        self,
        scene: Scene,
        *,
        quality: float | None = None,
        mode: Mode | None = None,
        budget_ms: float | None = None,
        budget_joules: float | None = None,
        coarse: CoarseViews | None = None,
        report: QualityReport | None = None,
        memory: Any = None,
    ) -> Prepared:
        """Everything before diffusion, for :meth:`stream`, with any seed, any number of times.

        coarse, report: of an earlier preparation of the same scene by this engine; they depend on
        neither quality, mode, budget nor seed, and reusing them gives the same bytes.
        memory: of an earlier preparation of this place by this engine, with other photos or
        targets; what it holds of them is not computed again, and the bytes are the same.
        """
        wishes = RenderRequest.asked(
            quality=quality, mode=mode, budget_ms=budget_ms, budget_joules=budget_joules
        )
        request = self._request(scene, wishes)
        check_reused(request.scene, coarse, report)
        began = perf_counter()
        memory = scene_memory(self.components.regression, memory)
        events = preparing(request, coarse, report, pace=self.pace.factor, memory=memory)
        while True:
            try:
                next(events)
            except StopIteration as end:
                prepared: Prepared = end.value
                prepared.seconds.total = perf_counter() - began
                return prepared

    def stream(
        self,
        scene: Scene | Prepared,
        *,
        quality: float | None = None,
        mode: Mode | None = None,
        seed: int = 0,
        budget_ms: float | None = None,
        budget_joules: float | None = None,
    ) -> Stream:
        """Render, yielding events: coarse views first, frames as they become final, the result.

        Input is checked at the call, and copied: neither what the caller writes into the scene
        afterwards nor what is written into an event changes the result. A
        prepared scene has its quality, mode and budgets; only the seed is free.
        """
        road = self.road(
            scene,
            quality=quality,
            mode=mode,
            seed=seed,
            budget_ms=budget_ms,
            budget_joules=budget_joules,
        )
        return Stream(answered(road))

    def road(self, scene: Scene | Prepared, **wishes: Any) -> RequestRoad:
        """What :meth:`stream` drives, for a :class:`Scheduler` of several requests.

        wishes: as of :meth:`stream`. The road also yields the calls of the network that it wants,
        and is sent their predictions.
        """
        asked = RenderRequest.asked(**wishes)
        if not isinstance(scene, Prepared):
            request = self._request(scene, asked)
            return relayed(
                self._road(request, preparing(request, pace=self.pace.factor)),
                self._hearing(request),
            )
        if asked != RenderRequest(seed=asked.seed):
            raise ConfigError(
                "a prepared scene has its quality, mode and budgets.",
                hint="Give them to prepare(); coarse= and report= reuse what was computed.",
            )
        request = self._resumed(scene, asked.seed)
        return relayed(self._road(request, told_again(scene)), self._hearing(request))

    def _hearing(self, request: Request) -> Callable[[Event], Iterator[Event]]:
        """Let the log and the plugins that observe hear every event."""
        name = f"{request.scene.name}/{next(self._numbers)}"

        def hear(event: Event) -> Iterator[Event]:
            log_event(name, event)
            if self.registry is not None:
                self.registry.observe(event)
            yield event

        return hear

    def _request(self, scene: Scene, wishes: RenderRequest) -> Request:
        config, mode, quality = granted(wishes, self.config)
        check_meter(config.engine.energy)
        scene = admitted(scene, self.components, config, mode, self.device)
        return Request(
            components=checked(self.components, config),
            config=config,
            scene=scene,
            mode=mode,
            quality=quality,
            seed=wishes.seed,
            seconds=Seconds(load_models=self.load_seconds),
            warnings=list(scene.warnings),
        )

    def _resumed(self, prepared: Prepared, seed: int) -> Request:
        return Request(
            components=checked(self.components, prepared.config),
            config=prepared.config,
            scene=prepared.scene,
            mode=prepared.mode,
            quality=prepared.quality,
            seed=seed,
            seconds=prepared.seconds.model_copy(),
            warnings=list(prepared.warnings),
        )

    def _road(self, request: Request, preparation: Preparation) -> RequestRoad:
        elsewhere = request.seconds.total
        began = perf_counter() - elsewhere
        meter = choose_meter(request.config.engine.energy, self.device)
        with measure_energy(meter) as request.energy:
            ready = yield from preparation
            road = Road(
                request=request,
                caches=self.caches,
                pace=self.pace,
                coarse=ready.coarse,
                images=ready.coarse.images.clone(),
            )
            refined = yield from road.run(ready.decisions)
        if elsewhere and request.energy.joules is not None:
            request.energy.note += "; without the preparation"
        request.seconds.total = perf_counter() - began
        report = build_report(
            self.components,
            request.config,
            self.device,
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

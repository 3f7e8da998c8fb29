"""The road of a request: scene in, images and their reasons out."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn, Unpack

import torch

from sphinx_framework.config import PipelineConfig, load_config, overridden
from sphinx_framework.engine.compiled import compile_diffusion, graph_diffusion
from sphinx_framework.engine.components import (
    Components,
    build_components,
    check_licences,
    choose_device,
)
from sphinx_framework.engine.decisions import Decisions
from sphinx_framework.engine.events import Event
from sphinx_framework.engine.fitting import fitted
from sphinx_framework.engine.log_lines import heard
from sphinx_framework.engine.preparation import Preparation, Prepared, prepared_at_once, preparing
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.residence import offloaded
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.engine.scheduler import RequestRoad, answered, relayed
from sphinx_framework.engine.stream import Stream
from sphinx_framework.engine.whole_request import opened, resumed, whole_road
from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.cache_pool import CachePool
from sphinx_framework.policy.memory import MemoryPlan
from sphinx_framework.policy.pace import Pace
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry
from sphinx_framework.request import RenderRequest, Wishes
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
        self.memory_plan: MemoryPlan | None = None
        self.pace = Pace()
        self._numbers = count(1)
        budget = config.engine.cache_budget_mb
        self.caches = CachePool(
            None if budget is None else int(budget * 1e6),
            on_host=config.engine.cache_on == "host",
        )
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
        check_licences(config, registry, licence_policy)
        chosen = choose_device(str(device))
        started = perf_counter()
        config, plan = fitted(config, registry, chosen, where)
        components = build_components(config, registry, chosen, where)
        if config.engine.compile is not None:
            compile_diffusion(components, config)
        if config.engine.graphs:
            graph_diffusion(components, config, chosen)
        if config.engine.offload:
            components = offloaded(components, chosen)
        engine = cls(components, config, chosen, registry)
        engine.load_seconds, engine.memory_plan = perf_counter() - started, plan
        return engine

    def render(self, scene: Scene | Prepared, **wishes: Unpack[Wishes]) -> RenderResult:
        """Render all targets; same scene, config, seed and device give the same bytes.

        quality: in (0, 1], the share to keep (default: the config's): of full diffusion's score, or
            of the best plan's similarity to the truth, as the rules' objective says.
        mode: ``coarse``, ``fine``, ``selective``, or the baselines ``diffusion``, ``regression``.
        seed: of all noise (default: 0).
        budget_ms, budget_joules: predicted time and energy to stay within (default: the config's).
        """
        return self.stream(scene, **wishes).result()

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
        hear: Callable[[Event], object] | None = None,
    ) -> Prepared:
        """Everything before diffusion, for :meth:`stream`, with any seed, any number of times.

        coarse, report: of an earlier preparation of the same scene by this engine; they depend on
        neither quality, mode, budget nor seed, and reusing them gives the same bytes.
        memory: of an earlier preparation of this place by this engine, with other photos or
        targets; what it holds of them is not computed again, and the bytes are the same.
        hear: told every event as it happens; what it raises ends the preparation.
        """
        asked = RenderRequest.asked(
            quality=quality, mode=mode, budget_ms=budget_ms, budget_joules=budget_joules
        )
        if hear is not None and not callable(hear):
            raise ConfigError(f"hear must be a function of an event, got {hear!r}.")
        request = opened(self.components, self.config, scene, asked, self.device, self.load_seconds)
        return prepared_at_once(request, coarse, report, memory, hear, pace=self.pace.factor)

    def stream(self, scene: Scene | Prepared, **wishes: Unpack[Wishes]) -> Stream:
        """Render, yielding events: coarse views first, frames as they become final, the result.

        wishes: as of :meth:`render`; of a prepared scene only the seed is free. Input is checked at
        the call, and copied: neither what the caller writes into the scene afterwards nor what is
        written into an event changes the result.
        """
        return Stream(answered(self.road(scene, **wishes)))

    def road(self, scene: Scene | Prepared, **wishes: Unpack[Wishes]) -> RequestRoad:
        """What :meth:`stream` drives, for a :class:`Scheduler` of several requests.

        The road also yields the calls of the network that it wants, and is sent their predictions.
        """
        asked = RenderRequest.asked(**wishes)
        if isinstance(scene, Prepared):
            return self._told(*resumed(self.components, self.config, scene, asked))
        request = opened(self.components, self.config, scene, asked, self.device, self.load_seconds)
        return self._told(request, preparing(request, pace=self.pace.factor))

    def __reduce__(self) -> NoReturn:
        """Engines hold loaded models and locks: they are neither pickled nor copied."""
        raise TypeError(
            "an Engine can be neither pickled nor copied; make another by Engine.from_config."
        )

    def _told(self, request: Request, preparation: Preparation) -> RequestRoad:
        """The road of a request, heard by the log and by the plugins that observe."""
        road = whole_road(
            request, preparation, self.components, self.device, self.caches, self.pace
        )
        name = f"{request.scene.name}/{next(self._numbers)}"
        return relayed(road, partial(heard, name, self.registry))

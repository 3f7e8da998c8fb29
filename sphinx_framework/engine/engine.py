"""The road of a request: scene in, images and their reasons out."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.config import PipelineConfig, load_config
from sphinx_framework.energy.choose import choose_meter
from sphinx_framework.energy.meter import measure_energy
from sphinx_framework.engine.admission import admitted, check_coarse
from sphinx_framework.engine.components import (
    Components,
    build_components,
    choose_device,
    pipeline_licences,
    refuse_non_commercial,
)
from sphinx_framework.engine.composite import composited
from sphinx_framework.engine.decisions import Decisions, assess, decide, missed_targets, retried
from sphinx_framework.engine.events import (
    CoarseReady,
    Event,
    Finished,
    FrameFinal,
    Planned,
    Served,
    StageDone,
    StepDone,
)
from sphinx_framework.engine.footprint import predicted_cache_bytes
from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.report import build_report, schedule_text
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.result import RenderResult, Seconds
from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.executors.latent_cache import CachePool
from sphinx_framework.logs import get_logger
from sphinx_framework.policy.pace import Pace
from sphinx_framework.policy.schedule import METHOD_MODES, Mode, Schedule
from sphinx_framework.registry import Registry
from sphinx_framework.types import ClipLayout, CoarseViews, Scene

FEATHER_PIXELS = 4


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
        self._log = get_logger("engine")
        budget = config.engine.cache_budget_mb
        self.caches = CachePool(None if budget is None else int(budget * 1e6))
        if config.engine.threads is not None:
            torch.set_num_threads(config.engine.threads)

    @classmethod
    def from_config(
        cls,
        config: str | Path | PipelineConfig,
        *,
        device: str = "auto",
        overrides: Sequence[str] = (),
        registry: Registry | None = None,
        licence_policy: str = "any",
    ) -> "Engine":
        """Build an engine from a shipped pipeline's name, a TOML path or a config.

        licence_policy: ``"permissive"`` refuses components whose code or weights are
        non-commercial. Raises subclasses of ``InputError`` for everything a user can mend.
        """
        where = config.name if isinstance(config, PipelineConfig) else str(config)
        if not isinstance(config, PipelineConfig):
            config = load_config(config, overrides)
        registry = registry or Registry.from_entry_points()
        if licence_policy not in ("any", "permissive"):
            raise ConfigError(f"licence policy {licence_policy!r} is not 'any' or 'permissive'.")
        if licence_policy == "permissive":
            refuse_non_commercial(pipeline_licences(config, registry))
        chosen = choose_device(device)
        started = perf_counter()
        engine = cls(build_components(config, registry, chosen, where), config, chosen, registry)
        engine.load_seconds = perf_counter() - started
        return engine

    def render(
        self,
        scene: Scene,
        *,
        quality: float | None = None,
        mode: Mode | None = None,
        seed: int = 0,
    ) -> RenderResult:
        """Render all targets; same scene, config, seed and device give the same bytes.

        quality: in (0, 1], share of full diffusion's quality to keep (default: the config's).
        mode: ``coarse``, ``fine``, ``selective``, or the baselines ``diffusion``, ``regression``.
        """
        for event in self.stream(scene, quality=quality, mode=mode, seed=seed):
            if isinstance(event, Finished):
                return event.result
        raise JobError("the engine ended without a result")

    def plan(
        self, scene: Scene, *, quality: float | None = None, mode: Mode | None = None
    ) -> tuple[CoarseViews, Decisions]:
        """Stop before diffusion: the coarse views and everything decided from them."""
        request = self._request(scene, quality, mode, 0)
        coarse = self._predict(request)
        return coarse, self._decide(request, coarse)

    def stream(
        self,
        scene: Scene,
        *,
        quality: float | None = None,
        mode: Mode | None = None,
        seed: int = 0,
    ) -> Iterator[Event]:
        """Render, yielding events: coarse views first, frames as they become final, the result."""
        request = self._request(scene, quality, mode, seed)
        for event in self._road(request):
            if self.registry is not None:
                self.registry.observe(event)
            yield event

    def _request(self, scene: Scene, quality: float | None, mode: str | None, seed: int) -> Request:
        chosen_mode, chosen_quality = admitted(
            scene, self.components, self.config, quality=quality, mode=mode, seed=seed
        )
        return Request(
            scene=scene.to(self.device),
            mode=chosen_mode,
            quality=chosen_quality,
            seed=seed,
            seconds=Seconds(load_models=self.load_seconds),
            warnings=list(scene.warnings),
        )

    def _road(self, request: Request) -> Iterator[Event]:
        began = perf_counter()
        meter = choose_meter(self.config.engine.energy, self.device)
        with measure_energy(meter) as request.energy:
            coarse = self._predict(request)
            yield StageDone(stage="regression", seconds=request.seconds.regression)
            yield CoarseReady(coarse=coarse)
            decisions = self._decide(request, coarse)
            yield StageDone(stage="plan", seconds=request.seconds.plan)
            yield Planned(
                quality=decisions.quality,
                mask=decisions.mask,
                schedules=decisions.schedules,
                predicted_denoise_seconds=decisions.predicted_denoise_seconds,
                predicted_seconds=decisions.predicted_seconds,
            )
            images = coarse.images.clone()
            retry = self.config.engine.retry and request.mode in METHOD_MODES
            for event in self._refined(request, coarse, decisions, images):
                # Until the scores are known, any frame may be refined once more.
                if not (retry and isinstance(event, FrameFinal)):
                    yield event
            self.pace.observe(decisions.predicted_denoise_seconds, request.seconds.denoise)
            achieved = self._score(request, images)
            if retry:
                decisions, achieved = yield from self._retried(
                    request, coarse, decisions, images, achieved
                )
        request.seconds.total = perf_counter() - began
        report = build_report(
            self.components,
            self.config,
            self.device,
            request=request,
            decisions=decisions,
            achieved=achieved,
        )
        result = RenderResult(
            images=images.cpu(),
            coarse=coarse,
            mask=decisions.mask,
            scene=request.scene,
            schedules=decisions.schedules,
            report=report,
        )
        yield Finished(result=result)

    def _refined(
        self, request: Request, coarse: CoarseViews, decisions: Decisions, images: Tensor
    ) -> Iterator[Event]:
        """Frames that the regression model has answered, then those that diffusion refines."""
        for index, start in enumerate(decisions.starts):
            if start == self.config.num_steps:
                yield FrameFinal(index=index, image=images[index].cpu(), served="regression")
        yield from self._denoised(request, coarse, decisions, images)

    def _retried(
        self,
        request: Request,
        coarse: CoarseViews,
        decisions: Decisions,
        images: Tensor,
        achieved: Tensor,
    ) -> Generator[Event, None, tuple[Decisions, Tensor]]:
        """Refine the targets that missed once more, from earlier; then every frame is final.

        Returns the decisions with the starts that counted in the end, and the scores.
        """
        missed = [
            index
            for index, miss in enumerate(missed_targets(achieved, decisions, request.quality))
            if miss and decisions.starts[index] > 0
        ]
        if missed:
            second = retried(self.components, decisions, missed, self.config)
            request.notes.append(
                f"targets {missed} missed the quality and were refined again: "
                f"{schedule_text(second.schedules)}"
            )
            for event in self._denoised(request, coarse, second, images):
                if not isinstance(event, FrameFinal):
                    yield event
            starts = [
                second.starts[index] if index in missed else start
                for index, start in enumerate(decisions.starts)
            ]
            decisions = replace(decisions, starts=tuple(starts))
            achieved = self._score(request, images)
        for index, start in enumerate(decisions.starts):
            served: Served = "regression" if start == self.config.num_steps else "refined"
            yield FrameFinal(index=index, image=images[index].cpu(), served=served)
        return decisions, achieved

    @torch.no_grad()
    def _predict(self, request: Request) -> CoarseViews:
        started = perf_counter()
        coarse = self.components.regression.predict(request.scene)
        check_coarse(request.scene, coarse, self.config)
        request.warnings.extend(coarse.warnings)
        request.clock("regression", started)
        return coarse

    @torch.no_grad()
    def _decide(self, request: Request, coarse: CoarseViews) -> Decisions:
        started = perf_counter()
        report = assess(self.components, self.config, request.scene, coarse)
        request.clock("quality", started)
        started = perf_counter()
        decisions = decide(
            self.components,
            self.config,
            request.scene,
            coarse,
            report,
            mode=request.mode,
            quality=request.quality,
        ).at_pace(self.pace.factor)
        request.warnings.extend(decisions.start_steps.warnings)
        request.clock("plan", started)
        return decisions

    def _denoised(
        self, request: Request, coarse: CoarseViews, decisions: Decisions, images: Tensor
    ) -> Iterator[Event]:
        """Run every clip; refined targets are written into ``images``."""
        total = sum(len(s.actions) for s in decisions.schedules)
        done = 0
        for clip, (layout, schedule) in enumerate(
            zip(decisions.layouts, decisions.schedules, strict=True)
        ):
            if not schedule.actions:
                continue
            refinement, lease = self._prepare(request, images, coarse, layout, schedule)
            with lease as cache:
                refinement.cache = cache
                for move in refinement.run():
                    done += 1
                    request.seconds.denoise += move.seconds
                    request.moves.append((clip, schedule, move))
                    yield StepDone(
                        clip=clip,
                        action=move.action.text(),
                        done=done,
                        total=total,
                        seconds=move.seconds,
                    )
                request.cache_bytes_peak = max(request.cache_bytes_peak, cache.bytes_peak)
            refined = self._decode(request, decisions, layout, schedule, refinement.x, coarse)
            for index, image in refined.items():
                images[index] = image
                yield FrameFinal(index=index, image=image.cpu(), served="refined")
        yield StageDone(stage="denoise", seconds=request.seconds.denoise)

    @torch.no_grad()
    def _prepare(
        self,
        request: Request,
        images: Tensor,
        coarse: CoarseViews,
        layout: ClipLayout,
        schedule: Schedule,
    ) -> tuple[Refinement, Any]:
        """Encode the clip's frames, draw its noise, and lease a cache that fits the budget."""
        started = perf_counter()
        scene, model = request.scene, self.components.diffusion
        frames = layout.stacked(scene.images, images)
        clean = model.encode(frames)
        sampler = model.sampler(self.config.num_steps)
        condition = model.condition(scene, coarse, layout, clean, sampler)
        keys = [
            slot.index + (0 if slot.kind == "input" else len(scene.inputs)) for slot in layout.slots
        ]
        count = len(scene.inputs) + len(scene.targets)

        def draw(step: int) -> Tensor:
            # One draw for the whole scene, so that a frame's noise does not depend on its clip.
            generator = torch.Generator().manual_seed(request.seed * 1009 + step + 1)
            noise = torch.randn(count, *clean.shape[1:], generator=generator)
            return noise[keys].to(clean)

        refinement = Refinement(
            model=model,
            schedule=schedule,
            sampler=sampler,
            clean=clean,
            noise=draw(-1),
            condition=condition,
            draw=draw,
        )
        predicted = 0
        if self.caches.budget_bytes is not None and any(
            getattr(action, "record", False) for action in schedule.actions
        ):
            predicted = predicted_cache_bytes(model, clean, condition, schedule)
        request.clock("encode", started)
        return refinement, self.caches.lease(predicted)

    @torch.no_grad()
    def _decode(
        self,
        request: Request,
        decisions: Decisions,
        layout: ClipLayout,
        schedule: Schedule,
        latents: Tensor,
        coarse: CoarseViews,
    ) -> dict[int, Tensor]:
        """Decode the refined targets of a clip; kept pixels stay the regression model's."""
        started = perf_counter()
        moved = [
            (position, target)
            for position, target in layout.targets.items()
            if schedule.starts[position] < schedule.num_steps
        ]
        positions, targets = [p for p, _ in moved], [t for _, t in moved]
        decoded = self.components.diffusion.decode(latents[positions]).clamp(0, 1)
        if decisions.keep is not None:
            mask = ~decisions.keep[targets].to(decoded.device)
            decoded = composited(decoded, coarse.images[targets], mask, FEATHER_PIXELS)
        request.clock("decode", started)
        return dict(zip(targets, decoded, strict=True))

    @torch.no_grad()
    def _score(self, request: Request, images: Tensor) -> Tensor:
        """Score the finished images like photos: without knowledge of any opacity."""
        started = perf_counter()
        achieved = self.components.quality.score(images).detach().float().cpu()
        request.clock("quality", started)
        return achieved

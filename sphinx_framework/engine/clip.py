"""One clip from photos and renders to refined images: encode, noise, refine, decode, composite."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.codec import decoded, encoded
from sphinx_framework.engine.composite import FEATHER_PIXELS, composited, with_carried_detail
from sphinx_framework.engine.decisions import Decisions
from sphinx_framework.engine.denoising_answers import CheckedDiffusion
from sphinx_framework.engine.events import Event
from sphinx_framework.engine.guidance import KeptGuidance
from sphinx_framework.engine.loop import Move, Refinement
from sphinx_framework.engine.request_state import Request
from sphinx_framework.executors.cache_pool import CachePool
from sphinx_framework.executors.passes import Call
from sphinx_framework.policy.schedule import METHOD_MODES, Full, Partial, Schedule
from sphinx_framework.types import ClipLayout, CoarseViews

# Noise of (seed, step) is drawn by its own generator; seeds lie this far apart, more than any
# number of steps, so that no two requests share a draw.
SEED_STRIDE = 1009
FIRST_DRAW = -1  # the noise that the clip starts from; draws of a step are numbered by it


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRun:
    """The run of one clip: yields stages, calls and moves; returns ``{target: image}``.

    images: of all targets so far, the coarse ones at first. caches: lend the latent cache.
    """

    request: Request
    caches: CachePool
    images: Float[Tensor, "T 3 H W"]
    coarse: CoarseViews
    decisions: Decisions
    layout: ClipLayout
    schedule: Schedule

    def run(self) -> Generator[Event | Move | Call, Tensor | None, dict[int, Tensor]]:
        """Between any two yields the run may be closed: the cache goes back to the pool."""
        request = self.request
        with request.timing("encode"), torch.no_grad():
            refinement = self._encoded()
        yield request.done("encode")
        with self.caches.lease(self._like(refinement.clean)) as cache:
            refinement.cache = cache
            yield from refinement.run()
            request.cache_bytes_peak = max(request.cache_bytes_peak, cache.bytes_peak)
        with request.timing("decode"), torch.no_grad():
            refined = self._decoded(refinement.x, refinement.clean)
        yield request.done("decode")
        return refined

    def _like(self, clean: Tensor) -> tuple[object, ...] | None:
        """What clips have in common that record equally many bytes; ``None`` for none at all."""
        actions = self.schedule.actions
        if not any(isinstance(action, Full) and action.record for action in actions):
            return None
        tiles = any(isinstance(action, Partial) and action.sparse for action in actions)
        return tuple(clean.shape), clean.dtype, tiles

    def _encoded(self) -> Refinement:
        """Encode the frames, draw the noise, make the condition."""
        scene, model, layout = self.request.scene, self.request.components.diffusion, self.layout
        clean = encoded(model, layout, layout.stacked(scene.images, self.images))
        sampler = model.sampler(self.request.config.num_steps)
        draw = self._draws(clean)
        return Refinement(
            model=model,
            schedule=self.schedule,
            sampler=sampler,
            clean=clean,
            noise=draw(FIRST_DRAW),
            condition=model.condition(scene, self.coarse, layout, clean, sampler),
            draw=draw,
            targets={row: made[0] for row, made in layout.made.items()},
            guidance=self._guidance(),
        )

    def _guidance(self) -> KeptGuidance | None:
        """Kept where some steps may run one branch; full diffusion, the baseline, runs both."""
        request = self.request
        thinned = request.config.plan.guidance
        whole = request.mode not in METHOD_MODES or self.decisions.full
        if whole or not thinned.thinned:
            return None
        return KeptGuidance(thinned, request.config.num_steps)

    def _draws(self, clean: Tensor) -> Callable[[int], Tensor]:
        """Noise by step; one draw for the whole scene, so that none depends on a frame's clip."""
        scene, seed = self.request.scene, self.request.seed
        count = len(scene.inputs) + len(scene.targets)
        # A latent takes the noise of its first frame.
        first = [self.layout.slots[slots[0]] for slots in self.layout.held]
        rows = [slot.index + (0 if slot.kind == "input" else len(scene.inputs)) for slot in first]

        def draw(step: int) -> Tensor:
            generator = torch.Generator().manual_seed(seed * SEED_STRIDE + step + 1)
            noise = torch.randn(count, *clean.shape[1:], generator=generator)
            return noise[rows].to(clean)

        return draw

    def _decoded(
        self, latents: Float[Tensor, "T C h w"], clean: Float[Tensor, "T C h w"]
    ) -> dict[int, Tensor]:
        """Decode the refined targets; kept pixels stay the regression model's.

        clean: latents of what was encoded. Lost detail is carried over before kept pixels are put
        back, so these are exact with it, too.
        """
        layout, starts = self.layout, self.schedule.starts
        walked = [row for row in layout.made if starts[row] < self.schedule.num_steps]
        own = layout.targets
        positions = [slot for row in walked for slot in layout.held[row] if slot in own]
        targets = [own[position] for position in positions]
        model = self.request.components.diffusion
        if isinstance(model, CheckedDiffusion):
            model.check_denoised(
                latents[walked], {i: layout.made[row][0] for i, row in enumerate(walked)}
            )
        pictures = decoded(model, layout, latents, positions)
        opacity = self.coarse.opacity
        if self.request.config.composite.carry_detail and opacity is None:
            self.request.notes.append("no detail is carried: the regression stage has no opacity")
        elif self.request.config.composite.carry_detail and opacity is not None:
            # What was encoded: the render, or, in a second try, the frame of the first.
            pictures = with_carried_detail(
                pictures,
                self.images[targets].to(pictures),
                decoded(model, layout, clean, positions).clamp(0, 1),
                opacity[targets].to(pictures),
            )
        pictures = pictures.clamp(0, 1)
        keep = self.decisions.keep
        if keep is not None:
            mask = ~keep[targets].to(pictures.device)
            pictures = composited(pictures, self.coarse.images[targets], mask, FEATHER_PIXELS)
        return dict(zip(targets, pictures, strict=True))

"""One prepared request of a contract suite: what the engine would hold between two steps."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.passes import frames_pass, full_pass
from sphinx_framework.protocols import DiffusionModel, Sampler
from sphinx_framework.types import ClipLayout, CoarseViews, Scene


@dataclass(frozen=True, kw_only=True)
class HeldRequest:
    """State of a clip; ``step`` is the middle of the walk, ``x`` the state there."""

    layout: ClipLayout
    clean: Float[Tensor, "T C h w"]
    noise: Float[Tensor, "T C h w"]
    condition: Any
    sampler: Sampler
    step: int
    constants: dict[str, Tensor] = field(default_factory=dict)
    cache: LatentCache = field(default_factory=LatentCache)

    @property
    def x(self) -> Float[Tensor, "T C h w"]:
        """The state at ``step``."""
        return self.at(self.step)

    def at(self, step: int) -> Float[Tensor, "T C h w"]:
        """The clip noised to any step."""
        return self.sampler.noised(self.clean, self.noise, step)

    def anew(self) -> "HeldRequest":
        """The same request with nothing computed yet."""
        return replace(self, constants={}, cache=LatentCache())

    @torch.no_grad()
    def record(self, model: Any) -> None:
        """A recording full pass."""
        full_pass(model, self.x, self.step, self.condition, cache=self.cache).answer()

    @torch.no_grad()
    def partial(self, model: Any) -> Tensor:
        """A partial step of the first and last frame, whose state has moved on."""
        frames = torch.tensor([0, len(self.clean) - 1], device=self.clean.device)
        moved = self.x * 0.9
        return frames_pass(
            model, moved, self.step, self.condition, cache=self.cache, frames=frames
        ).answer()


@torch.no_grad()
def prepared_request(
    model: DiffusionModel[Any, Any],
    scene: Scene,
    coarse: CoarseViews,
    num_steps: int,
    seed: int,
    layout: ClipLayout | None = None,
) -> HeldRequest:
    """Encode a clip of a scene, the first if none is named; draw its noise, make its condition."""
    layout = layout or model.layouts(scene)[0]
    clean = model.encode(layout.stacked(scene.images, coarse.images))
    sampler = model.sampler(num_steps)
    generator = torch.Generator().manual_seed(seed + 1)
    return HeldRequest(
        layout=layout,
        clean=clean,
        noise=torch.randn(clean.shape, generator=generator).to(clean),
        condition=model.condition(scene, coarse, layout, clean, sampler),
        sampler=sampler,
        step=num_steps // 2,
    )

"""From refined frames to served ones: what the model makes of them and of the evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.config import CompositeConfig
from sphinx_framework.engine.composite import FEATHER_PIXELS, composited, with_render_share
from sphinx_framework.engine.decisions import Decisions
from sphinx_framework.engine.request_state import Request
from sphinx_framework.protocols import FinishingModel
from sphinx_framework.types import CoarseViews, ScoreEvidence


@torch.no_grad()
def finished(
    request: Request, refined: Mapping[int, Tensor], coarse: CoarseViews, decisions: Decisions
) -> dict[int, Tensor]:
    """Frames as they are served, by target; called behind the guard, which must see the painted.

    The model finishes them by all that is known of them, where it is asked to, and kept pixels are
    the render's again; else the render's share is mixed in.
    """
    wanted = request.config.composite
    if not refined or not (wanted.finish or wanted.render_share > 0):
        return dict(refined)
    targets = list(refined)
    frames = torch.stack(list(refined.values()))
    known = ScoreEvidence(inputs=request.scene.images, renders=coarse.images)
    if wanted.finish:  # warps, too, which cost something
        known = request.known(coarse)
    starts = frames.new_tensor([decisions.starts[target] for target in targets])
    with request.timing("decode"):
        frames = as_served(
            request.components.diffusion,
            wanted,
            frames,
            known.rows(targets),
            lateness=starts / request.config.num_steps,
        )
    if wanted.finish and decisions.keep is not None:
        mask = ~_of(decisions.keep, targets).to(frames.device)
        renders = _of(coarse.images, targets).to(frames)
        frames = composited(frames, renders, mask, FEATHER_PIXELS)
    return dict(zip(targets, frames, strict=True))


def as_served(
    model: Any,
    wanted: CompositeConfig,
    frames: Float[Tensor, "V 3 H W"],
    evidence: ScoreEvidence,
    *,
    lateness: Float[Tensor, " V"],
) -> Float[Tensor, "V 3 H W"]:
    """Frames as the guard let them pass, finished by the model or mixed with their renders.

    model: a diffusion model, which finishes where ``wanted`` says so. lateness: start step over
    steps, in [0, 1]; later starts take more of the render.
    """
    if wanted.finish:
        finisher: FinishingModel = model
        return finisher.finish(frames, evidence).clamp(0, 1)
    return with_render_share(frames, evidence.renders.to(frames), wanted.render_share, lateness)


def _of(frames: Tensor, targets: Sequence[int]) -> Tensor:
    """Rows of some targets, without an index on its way to the device."""
    return torch.stack([frames[target] for target in targets])

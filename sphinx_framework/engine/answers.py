"""The seam between engine and components: every answer is checked once, where it enters.

:func:`checked` puts a thin guard around each component. A guard passes the call on, names the
component when it raises or runs out of memory, and refuses an answer that breaks the protocol.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.failures import Witness
from sphinx_framework.engine.layout_checks import layout_problem
from sphinx_framework.protocols import BatchingModel
from sphinx_framework.types import (
    ClipLayout,
    CoarseViews,
    QualityReport,
    Scene,
    StartSteps,
    Walk,
)

TOLERANCE = 1e-3  # of colours and opacity around [0, 1]: what rounding leaves
# Decoders overshoot [0, 1] and are clamped; this far outside, the numbers are no such colours.
FARTHEST_COLOUR = 16.0


def checked(components: Components, config: PipelineConfig) -> Components:
    """The same components behind guards; errors are :class:`JobError` with ``component`` set."""
    distributions = {entry["role"]: entry["distribution"] for entry in components.licences}

    def witness(role: str) -> Witness:
        return Witness(role, config.pipeline[role].use, distributions.get(role))

    return replace(
        components,
        regression=CheckedRegression(components.regression, witness("regression")),
        diffusion=CheckedDiffusion(
            components.diffusion, witness("diffusion"), components.capabilities.max_frames
        ),
        quality=CheckedQuality(components.quality, witness("quality")),
        mask=CheckedMask(components.mask, witness("mask")),
        steps=CheckedSteps(components.steps, witness("steps")),
    )


class CheckedRegression:
    """Coarse views: one finite float32 image in [0, 1] per target, opacity alike or none."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def predict(self, scene: Scene, memory: Any = None) -> CoarseViews:
        """Pass on and check; a memory goes to the model that made it."""
        witness, count, size = self._witness, len(scene.targets), scene.targets.image_size
        kept = () if memory is None else (memory,)
        with witness.asked("regression"):
            coarse = self._inner.predict(scene, *kept)
        if not isinstance(coarse, CoarseViews):
            raise witness.refusal("regression", _kind(coarse), "CoarseViews")
        device = scene.images.device
        witness.tensor(
            coarse.images, "images", "regression", (count, 3, *size), torch.float32, device
        )
        _unit_range(witness, coarse.images, "images")
        if coarse.opacity is not None:
            witness.tensor(
                coarse.opacity, "opacity", "regression", (count, *size), torch.float32, device
            )
            _unit_range(witness, coarse.opacity, "opacity")
        if coarse.depth is not None:
            witness.tensor(coarse.depth, "depth", "regression", (count, *size), None, device)
        photos = (len(scene.inputs), *size)
        for name in ("input_depth", "input_confidence"):
            if getattr(coarse, name) is not None:
                witness.shaped(getattr(coarse, name), name, "regression", photos)
                witness.finite(getattr(coarse, name), name, "regression", lambda row: None)
        return coarse


class CheckedQuality:
    """One finite score per image."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def score(self, images: Tensor, *rest: Any, **named: Any) -> Tensor:
        """Pass on and check."""
        with self._witness.asked("quality"):
            scores = self._inner.score(images, *rest, **named)
        self._witness.tensor(scores, "scores", "quality", (len(images),), None, None)
        answer: Tensor = scores
        return answer


class CheckedMask:
    """One boolean mask of the targets' size per target."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> Tensor:
        """Pass on and check."""
        with self._witness.asked("plan"):
            mask = self._inner.mask(coarse, scene, cluster)
        shape = (len(scene.targets), *scene.targets.image_size)
        self._witness.tensor(mask, "masks", "plan", shape, torch.bool, None)
        answer: Tensor = mask
        return answer


class CheckedSteps:
    """One start step in ``0..num_steps`` per target."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Pass on and check."""
        with self._witness.asked("plan"):
            chosen = self._inner.start_steps(report, scene, quality, num_steps)
        if not isinstance(chosen, StartSteps):
            raise self._witness.refusal("plan", _kind(chosen), "StartSteps")
        count = len(scene.targets)
        if len(chosen.steps) != count:
            raise self._witness.refusal(
                "plan", f"{len(chosen.steps)} start steps", f"one for each of {count} targets"
            )
        steps: tuple[Any, ...] = chosen.steps
        for frame, step in enumerate(steps):
            if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= num_steps:
                raise self._witness.refusal(
                    "plan", f"start step {step!r}", f"an int in 0..{num_steps}", frame
                )
        self._check_walks(chosen.walks, count)
        ratios = chosen.full_ratio
        if ratios is not None and (len(ratios) != count or not all(_positive(r) for r in ratios)):
            raise self._witness.refusal(
                "plan", f"full_ratio {ratios}", f"{count} positive numbers, or None"
            )
        return chosen

    def _check_walks(self, walks: Any, count: int) -> None:
        if walks is None:
            return
        if len(walks) != count or not all(isinstance(walk, Walk) for walk in walks):
            raise self._witness.refusal("plan", f"walks {walks}", f"{count} Walks, or None")
        for frame, walk in enumerate(walks):
            if walk.steps is not None and not (isinstance(walk.steps, int) and walk.steps > 0):
                raise self._witness.refusal(
                    "plan", f"a walk of {walk.steps!r} steps", "a positive number, or None", frame
                )


class CheckedDiffusion:
    """Layouts, latents, predictions and pictures of the diffusion model."""

    def __init__(self, inner: Any, witness: Witness, max_frames: int | None = None) -> None:
        self._inner, self._witness, self._max_frames = inner, witness, max_frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> Any:
        """The model itself: requests that have the same one may share its calls."""
        return self._inner

    @property
    def batching(self) -> BatchingModel | None:
        """The model, where it answers several requests in one call."""
        return self._inner if isinstance(self._inner, BatchingModel) else None

    @property
    def witness(self) -> Witness:
        """Who speaks for the model."""
        return self._witness

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Pass on and check: every target is made by exactly one slot of one clip."""
        with self._witness.asked("plan"):
            layouts = self._inner.layouts(scene)
        counts = (len(scene.inputs), len(scene.targets))
        problem = layout_problem(layouts, *counts, self._max_frames)
        if problem is not None:
            raise self._witness.refusal("plan", *problem)
        answer: tuple[ClipLayout, ...] = tuple(layouts)
        return answer

    def encode(self, images: Tensor) -> Tensor:
        """Pass on and check; channels are the model's own affair."""
        with self._witness.asked("encode"):
            latents = self._inner.encode(images)
        factor = self._inner.latent_factor
        sides = tuple(side // factor for side in images.shape[-2:])
        channels = latents.shape[1] if isinstance(latents, Tensor) and latents.ndim == 4 else "C"
        shape = (_count(latents), channels, *sides)
        self._witness.tensor(latents, "latents", "encode", shape, None, images.device)
        answer: Tensor = latents
        return answer

    def sampler(self, num_steps: int) -> Any:
        """Pass on."""
        with self._witness.asked("encode"):
            return self._inner.sampler(num_steps)

    def condition(self, *given: Any) -> Any:
        """Pass on; what it is, only the model knows."""
        with self._witness.asked("encode"):
            return self._inner.condition(*given)

    def denoise(self, x: Tensor, step: int, condition: Any, ops: Any) -> Tensor:
        """Pass on and check the shape: looking at numbers would make a GPU wait at every step."""
        with self._witness.asked("denoise"):
            prediction = self._inner.denoise(x, step, condition, ops)
        self._witness.shaped(prediction, f"prediction of step {step}", "denoise", tuple(x.shape))
        answer: Tensor = prediction
        return answer

    def decode(self, latents: Tensor) -> Tensor:
        """Pass on and check."""
        with self._witness.asked("decode"):
            images = self._inner.decode(latents)
        factor = self._inner.latent_factor
        shape = (_count(images), 3, *(side * factor for side in latents.shape[-2:]))
        self._witness.tensor(images, "images", "decode", shape, None, latents.device)
        if images.numel() and float(images.abs().max()) > FARTHEST_COLOUR:
            raise self._witness.refusal(
                "decode", f"images that reach {float(images.abs().max()):.3g}", "colours in [0, 1]"
            )
        answer: Tensor = images
        return answer

    def check_count(self, stage: str, answer: Tensor, count: int, what: str, given: int) -> None:
        """Raise unless the codec answered with as many rows as the clip's layout says."""
        if len(answer) != count:
            raise self._witness.refusal(
                stage, f"{len(answer)} {what} for {given} rows", f"{count}, by the clip's layout"
            )

    def check_denoised(self, latents: Tensor, targets: dict[int, int]) -> None:
        """Raise when a clip ended in NaN; ``targets``: row -> its first target."""
        self._witness.finite(latents, "latents", "denoise", lambda slot: targets.get(slot))


def _unit_range(witness: Witness, values: Tensor, what: str) -> None:
    """Raise unless all values lie in [0, 1]."""
    low, high = float(values.min()), float(values.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise witness.refusal("regression", f"{what} in [{low:.3g}, {high:.3g}]", "[0, 1]")


def _positive(number: Any) -> bool:
    return isinstance(number, int | float) and 0 < number < float("inf")


def _count(answer: Any) -> int:
    """Rows of a tensor; how many there must be is the layout's affair."""
    return answer.shape[0] if isinstance(answer, Tensor) and answer.ndim else 0


def _kind(answer: Any) -> str:
    return f"a {type(answer).__name__}"

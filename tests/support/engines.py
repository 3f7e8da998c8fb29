"""Engines on fakes whose decisions a test can dictate, and a fake model of two clips."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import NO_PARTS, Capabilities, Parts
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, FakeSteps
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.types import (
    ClipLayout,
    CoarseViews,
    QualityReport,
    Scene,
    Slot,
    StartSteps,
)

CPU = torch.device("cpu")


class FixedSteps:
    """Start steps dictated by the test, and what full diffusion is said to reach."""

    def __init__(self, steps: Sequence[int], full_ratio: tuple[float, ...] | None = None) -> None:
        self.steps = tuple(steps)
        self.full_ratio = full_ratio

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        return StartSteps(
            steps=self.steps,
            cluster=1,
            full_ratio=self.full_ratio,
            notes=("decided by the test",),
        )


class RudeSteps(FixedSteps):
    """Whose making changes what all share."""

    def __init__(self, config, device, parts=None):
        super().__init__((1,))
        sys.stdout.write("made\n")
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("medium")
        os.chdir("/")


class ListeningSteps(FakeSteps):
    """A step policy that chooses its rules through an embedder."""

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        super().__init__(config, device, parts)
        if parts.embedder is None:
            raise ConfigError("the pipeline has no embedder.", hint="Add [pipeline.embedder].")
        self.given = parts.embedder


class FixedMask:
    """The same marked rectangle in every target, as ``(top, bottom, left, right)`` pixels."""

    def __init__(self, *boxes: tuple[int, int, int, int] | None) -> None:
        self.boxes = boxes

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> Tensor:
        mask = torch.zeros(len(scene.targets), *scene.targets.image_size, dtype=torch.bool)
        for target, box in zip(mask, self.boxes, strict=False):
            if box is not None:
                target[box[0] : box[1], box[2] : box[3]] = True
        return mask


class FixedQuality:
    """Scores dictated by the test: renders with opacity get ``coarse``, anything else ``other``."""

    def __init__(self, coarse: float, other: float) -> None:
        self.coarse, self.other = coarse, other

    def score(self, images: Tensor, opacity: Tensor | None = None) -> Tensor:
        return torch.full((len(images),), self.other if opacity is None else self.coarse)


class TwoClipDiffusion(FakeDiffusion):
    """Makes the middle target first, then the others around it, given the middle one."""

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        super().__init__(config, device, parts)
        self.encoded: list[Tensor] = []

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        middle = len(scene.targets) // 2
        first, last = Slot(kind="input", index=0), Slot(kind="input", index=len(scene.inputs) - 1)
        others = [Slot(kind="target", index=i) for i in range(len(scene.targets)) if i != middle]
        return (
            ClipLayout(slots=(first, Slot(kind="target", index=middle), last)),
            ClipLayout(slots=(first, Slot(kind="target", index=middle, given=True), *others, last)),
        )

    def encode(self, images: Tensor) -> Tensor:
        self.encoded.append(images.clone())
        return super().encode(images)


def engine_with(
    *, capabilities: Capabilities | None = None, parts: dict[str, Any] | None = None, **config: Any
) -> Engine:
    """A fake engine with some components replaced by ``parts``."""
    engine = fake_engine(capabilities, **config)
    engine.components = replace(engine.components, **(parts or {}))
    return engine


def fixed_engine(steps: Sequence[int], **config: Any) -> Engine:
    """A fake engine with dictated start steps."""
    return engine_with(parts={"steps": FixedSteps(steps)}, **config)


def calls_of(engine: Engine) -> list[tuple[int, int]]:
    """``(step, rows)`` of every call of the fake network."""
    diffusion: Any = engine.components.diffusion
    return list(diffusion.calls)


class PairedDiffusion(FakeDiffusion):
    """Compresses time: the first frame has a latent, then every two frames share one."""

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        (layout,) = super().layouts(scene)
        slots = layout.slots
        if len(slots) % 2 == 0:
            last = next(slot for slot in reversed(slots) if slot.kind == "input")
            slots = (*slots, last)  # an input once more: the clip needs an odd number
        pairs = tuple((i, i + 1) for i in range(1, len(slots), 2))
        return (ClipLayout(slots=slots, latents=((0,), *pairs)),)

    def encode(self, images: Tensor) -> Tensor:
        latents = super().encode(images)
        return torch.cat([latents[:1], latents[1:].unflatten(0, (-1, 2)).mean(1)])

    def decode(self, latents: Tensor) -> Tensor:
        images = super().decode(latents)
        return torch.cat([images[:1], images[1:].repeat_interleave(2, dim=0)])

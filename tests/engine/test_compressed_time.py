"""Diffusion models whose autoencoder holds several frames in one latent."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from engines import CPU, FixedSteps, PairedDiffusion, engine_with
from torch import Tensor

from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import JobError
from sphinx_framework.testing.contracts import DiffusionContract
from sphinx_framework.testing.fakes import FakeConfig, fake_scene
from sphinx_framework.types import ClipLayout, Scene, Slot


def paired(steps: tuple[int, ...], model: type[PairedDiffusion] = PairedDiffusion) -> Engine:
    parts = {"diffusion": model(FakeConfig(), CPU), "steps": FixedSteps(steps)}
    return engine_with(parts=parts)


def test_frames_that_share_a_latent_start_with_the_earliest_of_them() -> None:
    # clip: input 0 | targets 0 1 | targets 2 3 | targets 4, input 1
    engine = paired((10, 20, 50, 50, 40))
    result = engine.render(fake_scene(targets=5), mode="fine")
    assert [frame.start_step for frame in result.report.frames] == [10, 10, 50, 50, 40]
    refined = [i for i in range(5) if not torch.equal(result.images[i], result.coarse.images[i])]
    assert refined == [0, 1, 4]


@pytest.mark.parametrize("mode", ["coarse", "fine", "selective", "diffusion"])
def test_every_mode_runs(mode: Any) -> None:
    engine = paired((10, 20, 30, 40, 45, 48))
    result = engine.render(fake_scene(targets=6), mode=mode)
    assert torch.isfinite(result.images).all()
    assert len(result.images) == 6


def test_without_compression_each_frame_has_its_latent() -> None:
    slots = (Slot(kind="input", index=0), Slot(kind="target", index=0))
    layout = ClipLayout(slots=slots)
    assert (layout.num_latents, layout.held, layout.made) == (2, ((0,), (1,)), {1: (0,)})


class Miscounting(PairedDiffusion):
    """Answers with one latent a frame, though its layout says otherwise."""

    def encode(self, images: Tensor) -> Tensor:
        return torch.cat([super().encode(images)] * 2)


class Leaving(PairedDiffusion):
    """Leaves a slot out of every latent."""

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        (layout,) = super().layouts(scene)
        return (replace(layout, latents=layout.held[:-1]),)


@pytest.mark.parametrize("kind", [Miscounting, Leaving])
def test_a_model_that_breaks_its_own_layout_is_named(kind: type[PairedDiffusion]) -> None:
    engine = paired((10,) * 5, kind)
    with pytest.raises(JobError, match="latent") as error:
        engine.render(fake_scene(targets=5), mode="fine")
    assert error.value.kind == "bad-answer"


class TestPairedContract(DiffusionContract):
    """The whole contract holds with compressed time."""

    def make(self) -> PairedDiffusion:
        return PairedDiffusion(FakeConfig(), self.device)

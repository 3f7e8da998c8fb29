"""The framework's contract of a diffusion model, and what is the model's own."""

from functools import cache

import pytest
import torch

from sphinx_framework.errors import CapabilityError
from sphinx_framework.testing.contracts import DiffusionContract
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import ClipLayout
from sphinx_framework_videoscene import clips, plugin
from sphinx_framework_videoscene.config import tiny_config
from sphinx_framework_videoscene.model import VideoScene

CPU = torch.device("cpu")


@cache
def tiny() -> VideoScene:
    return VideoScene(tiny_config(), CPU)


class TestVideoScene(DiffusionContract):
    size = (32, 48)
    capabilities = plugin.sphinx_framework_components()[0].capabilities

    def make(self) -> VideoScene:
        return tiny()


class TestConsistencySampler(DiffusionContract):
    size = (32, 48)
    capabilities = plugin.sphinx_framework_components()[0].capabilities

    def make(self) -> VideoScene:
        return VideoScene(tiny_config().model_copy(update={"solver": "lcm"}), CPU)


def clip_of(targets: int, inputs: int = 2, frames: int = 9) -> tuple[ClipLayout, ...]:
    return clips.layouts(fake_scene(targets=targets, inputs=inputs), frames, 4)


def test_a_clip_leads_from_photo_to_photo_and_four_frames_share_a_latent() -> None:
    (layout,) = clip_of(7)
    assert [slot.kind for slot in layout.slots] == ["input", *["target"] * 7, "input"]
    assert layout.latents == ((0,), (1, 2, 3, 4), (5, 6, 7, 8))
    assert layout.made == {1: (0, 1, 2, 3), 2: (4, 5, 6)}
    assert layout.notes == ()


def test_fewer_targets_are_filled_up_with_the_last_photo_and_it_is_said() -> None:
    (layout,) = clip_of(3)
    assert [slot.index for slot in layout.slots if slot.kind == "input"] == [0, 1, 1, 1, 1, 1]
    assert "4 targets less" in layout.notes[0]


def test_more_targets_are_dealt_out_to_clips_that_lead_the_whole_way() -> None:
    first, second = clip_of(14)
    assert list(first.targets.values()) == list(range(0, 14, 2))
    assert list(second.targets.values()) == list(range(1, 14, 2))


def test_three_photos_give_a_clip_for_every_two_neighbours() -> None:
    ends = [(layout.slots[0].index, layout.slots[-1].index) for layout in clip_of(10, inputs=3)]
    assert ends == [(0, 1), (1, 2)]


def test_one_photo_is_refused_in_one_sentence() -> None:
    with pytest.raises(CapabilityError, match="needs two photos"):
        clip_of(3, inputs=1)


def test_another_size_is_refused_with_the_size_to_set() -> None:
    with pytest.raises(CapabilityError, match="32x48") as error:
        tiny().encode(torch.zeros(9, 3, 64, 64))
    assert "[32, 48]" in str(error.value.hint)


def test_condition_photos_get_the_same_noise_in_every_request() -> None:
    model, scene = tiny(), fake_scene(targets=7, size=(32, 48))
    (layout,) = model.layouts(scene)
    clean = torch.zeros(3, 4, 4, 6)
    first, second = (
        model.condition(scene, None, layout, clean, model.sampler(10)).latents  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(first[1], torch.zeros_like(first[1]))
    quiet = VideoScene(tiny_config().model_copy(update={"condition_sigma": 0.0}), CPU)
    exact = quiet.condition(scene, None, layout, clean, model.sampler(10)).latents  # type: ignore[arg-type]
    assert 0 < float((first - exact).abs().max()) < 1

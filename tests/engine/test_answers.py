"""Every answer of a component is checked where it enters, and the error says whose it was."""

from dataclasses import replace

import pytest
import torch
from engines import CPU, FixedSteps, engine_with

from sphinx_framework.errors import JobError
from sphinx_framework.plugin import Capabilities
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeMask,
    FakeQuality,
    FakeRegression,
    fake_scene,
)
from sphinx_framework.types import ClipLayout, Slot

MADE = (10, 20, 30, 40)


class Altered:
    """A fake whose one method answers with something else."""

    def __init__(self, inner, method, change):
        self._inner, self._method, self._change = inner, method, change

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name != self._method:
            return found
        return lambda *given, **named: self._change(found(*given, **named))


def poisoned(answer, row=1):
    answer = answer.clone()
    answer.view(len(answer), -1)[row, 0] = torch.nan
    return answer


def image(change):
    return lambda coarse: replace(coarse, images=change(coarse.images))


def opacity(change):
    return lambda coarse: replace(coarse, opacity=change(torch.ones(4, 32, 32)))


def out_of_memory(answer):
    raise torch.OutOfMemoryError("CUDA out of memory")


def broken(answer):
    raise ZeroDivisionError("of the plugin")


INNER = {
    "regression": lambda: FakeRegression(FakeConfig(), CPU),
    "diffusion": lambda: FakeDiffusion(FakeConfig(), CPU),
    "quality": lambda: FakeQuality(FakeConfig(), CPU),
    "mask": lambda: FakeMask(FakeConfig(), CPU),
    "steps": lambda: FixedSteps(MADE),
}
INPUT, TARGETS = Slot(kind="input", index=0), [Slot(kind="target", index=i) for i in range(4)]


def clips(*slots):
    return lambda answer: tuple(ClipLayout(slots=tuple(own)) for own in slots)


WRONG = [
    ("regression", "predict", lambda c: None, "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x[:2]), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x * 255), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x.half()), "bad-answer", "regression"),
    ("regression", "predict", image(poisoned), "not-finite", "regression"),
    ("regression", "predict", opacity(lambda x: x * 2), "bad-answer", "regression"),
    ("regression", "predict", opacity(lambda x: x[:, :16]), "bad-answer", "regression"),
    ("regression", "predict", broken, "component-raised", "regression"),
    ("quality", "score", lambda s: s[:1], "bad-answer", "quality"),
    ("quality", "score", lambda s: s[:, None], "bad-answer", "quality"),
    ("quality", "score", poisoned, "not-finite", "quality"),
    ("quality", "score", lambda s: s.tolist(), "bad-answer", "quality"),
    ("mask", "mask", lambda m: m[:, :16], "bad-answer", "plan"),
    ("mask", "mask", lambda m: m.float(), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2, 3, 51)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2, 3, 2.5)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, full_ratio=(1.0,)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: list(s.steps), "bad-answer", "plan"),
    ("diffusion", "layouts", lambda x: (), "bad-answer", "plan"),
    ("diffusion", "layouts", lambda x: None, "bad-answer", "plan"),
    ("diffusion", "layouts", clips([INPUT, *TARGETS[:3]]), "bad-answer", "plan"),
    ("diffusion", "layouts", clips([INPUT, *TARGETS, TARGETS[0]]), "bad-answer", "plan"),
    ("diffusion", "layouts", clips([INPUT, *TARGETS], []), "bad-answer", "plan"),
    (
        "diffusion",
        "layouts",
        clips([replace(TARGETS[0], given=True), *TARGETS[1:]], TARGETS[:1]),
        "bad-answer",
        "plan",
    ),
    ("diffusion", "layouts", clips([replace(INPUT, index=9), *TARGETS]), "bad-answer", "plan"),
    ("diffusion", "encode", lambda x: x[:, :, :4], "bad-answer", "encode"),
    ("diffusion", "encode", poisoned, "not-finite", "encode"),
    ("diffusion", "encode", out_of_memory, "out-of-memory", "encode"),
    ("diffusion", "denoise", lambda x: x[:, :1], "bad-answer", "denoise"),
    ("diffusion", "denoise", out_of_memory, "out-of-memory", "denoise"),
    ("diffusion", "denoise", lambda x: x * torch.nan, "not-finite", "denoise"),
    ("diffusion", "decode", lambda x: x[:, :1], "bad-answer", "decode"),
    ("diffusion", "decode", lambda x: x * 255, "bad-answer", "decode"),
    ("diffusion", "decode", poisoned, "not-finite", "decode"),
]


@pytest.mark.parametrize(("role", "method", "change", "kind", "stage"), WRONG)
def test_a_wrong_answer_ends_the_request_with_its_author_named(role, method, change, kind, stage):
    parts = {"steps": FixedSteps(MADE)}
    parts[role] = Altered(INNER[role](), method, change)
    engine = engine_with(parts=parts)
    with pytest.raises(JobError) as caught:
        engine.render(fake_scene(), mode="fine", quality=0.9)
    error = caught.value
    assert (error.kind, error.stage, error.component) == (kind, stage, "fake")
    assert role in error.message
    assert "'fake'" in error.message
    if kind != "out-of-memory":
        assert error.hint == "Run: sphinx-nvs check fake."
    assert engine.caches.leased_bytes == 0


def test_a_frame_of_nan_is_named():
    parts = {"regression": Altered(INNER["regression"](), "predict", image(poisoned))}
    with pytest.raises(JobError, match="frame 1") as caught:
        engine_with(parts=parts).render(fake_scene())
    assert caught.value.frame == 1


def test_an_engine_serves_the_next_request_after_one_that_failed():
    parts = {"steps": FixedSteps(MADE)}
    engine = engine_with(parts=parts)
    whole = engine.components
    engine.components = replace(
        whole, diffusion=Altered(INNER["diffusion"](), "denoise", out_of_memory)
    )
    with pytest.raises(JobError):
        engine.render(fake_scene(), mode="fine")
    engine.components = whole
    expected = engine_with(parts=parts).render(fake_scene(), mode="fine")
    assert torch.equal(engine.render(fake_scene(), mode="fine").images, expected.images)


def test_a_clip_longer_than_the_claimed_longest_is_refused():
    able = Capabilities(frame_subset=True, block_sparse=True, max_frames=5)
    engine = engine_with(capabilities=able, parts={"steps": FixedSteps(MADE)})
    with pytest.raises(JobError, match=r"clip 0 of 6 frames.*at most max_frames = 5"):
        engine.render(fake_scene(4), seed=0)

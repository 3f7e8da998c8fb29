"""Every answer of a component is checked where it enters, and the error says whose it was."""

from dataclasses import replace

import pytest
import torch
from altered import INNER, MADE, Altered, poisoned
from engines import FixedSteps, engine_with

from sphinx_framework.errors import JobError
from sphinx_framework.plugin import Capabilities
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import ClipLayout, Gaussians, Slot, Walk


def image(change):
    return lambda coarse: replace(coarse, images=change(coarse.images))


def opacity(change):
    return lambda coarse: replace(coarse, opacity=change(torch.ones(4, 32, 32)))


def out_of_memory(answer):
    raise torch.OutOfMemoryError("CUDA out of memory")


def broken(answer):
    raise ZeroDivisionError("of the plugin")


def sys_exit(answer):
    raise SystemExit(0)


def other_default_type(answer):
    torch.set_default_dtype(torch.float64)
    return answer


class NoException(BaseException):
    """What ``except Exception`` lets through."""


def own_base_exception(answer):
    raise NoException("of the plugin")


def depth(change):
    return lambda coarse: replace(coarse, depth=change(torch.ones(4, 32, 32)))


def sureness(values):
    return lambda coarse: replace(coarse, input_depth=values, input_confidence=values)


def splats(**fields):
    values = {
        "means": torch.zeros(5, 3),
        "covariances": torch.zeros(5, 3, 3),
        "harmonics": torch.zeros(5, 3, 1),
        "opacities": torch.zeros(5),
    }
    return lambda coarse: replace(coarse, gaussians=Gaussians(**{**values, **fields}))


def karras(num_steps):
    return SigmaSampler(karras_sigmas(num_steps, 0.02, 8.0))


INPUT, TARGETS = Slot(kind="input", index=0), [Slot(kind="target", index=i) for i in range(4)]


halfway = Slot(kind="target", index=3.0)


def clips(*slots):
    return lambda answer: tuple(ClipLayout(slots=tuple(own)) for own in slots)


def latents(held):
    return lambda answer: (ClipLayout(slots=(INPUT, *TARGETS), latents=held),)


def walks(**fields):
    return lambda chosen: replace(chosen, walks=(Walk(**fields),) * 4)


def saying(**attributes):
    """A sampler that says something else of itself."""

    def said(sampler):
        body = {"__getattr__": lambda _, name: getattr(sampler, name), **attributes}
        return type("Saying", (), body)()

    return said


WRONG = [
    ("regression", "predict", lambda c: None, "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x[:2]), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x * 255), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x.half()), "bad-answer", "regression"),
    ("regression", "predict", image(poisoned), "not-finite", "regression"),
    ("regression", "predict", opacity(lambda x: x * 2), "bad-answer", "regression"),
    ("regression", "predict", opacity(lambda x: x[:, :16]), "bad-answer", "regression"),
    ("regression", "predict", broken, "component-raised", "regression"),
    ("regression", "predict", splats(opacities=torch.full((5,), 7.0)), "bad-answer", "regression"),
    ("regression", "predict", splats(harmonics=torch.zeros(5, 3, 5)), "bad-answer", "regression"),
    ("quality", "score", lambda s: s.to("meta"), "bad-answer", "quality"),
    ("quality", "score", lambda s: s[:1], "bad-answer", "quality"),
    ("quality", "score", lambda s: s[:, None], "bad-answer", "quality"),
    ("quality", "score", poisoned, "not-finite", "quality"),
    ("quality", "score", lambda s: s.tolist(), "bad-answer", "quality"),
    ("mask", "mask", lambda m: m[:, :16], "bad-answer", "plan"),
    ("mask", "mask", lambda m: m.float(), "bad-answer", "plan"),
    ("mask", "mask", lambda m: m.to("meta"), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2, 3, 51)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2, 3, 2.5)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, full_ratio=(1.0,)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, full_ratio=0.9), "bad-answer", "plan"),
    ("steps", "start_steps", walks(steps=True), "bad-answer", "plan"),
    ("steps", "start_steps", walks(steps=2, solver=3), "bad-answer", "plan"),
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
    ("diffusion", "layouts", clips([INPUT, *TARGETS[:3], halfway]), "bad-answer", "plan"),
    ("diffusion", "layouts", latents(5), "bad-answer", "plan"),
    ("diffusion", "layouts", latents(((0,), 1)), "bad-answer", "plan"),
    ("diffusion", "encode", lambda x: x[:, :, :4], "bad-answer", "encode"),
    ("diffusion", "encode", poisoned, "not-finite", "encode"),
    ("diffusion", "encode", out_of_memory, "out-of-memory", "encode"),
    ("diffusion", "denoise", lambda x: x[:, :1], "bad-answer", "denoise"),
    ("diffusion", "denoise", out_of_memory, "out-of-memory", "denoise"),
    ("diffusion", "denoise", lambda x: x * torch.nan, "not-finite", "denoise"),
    ("diffusion", "decode", lambda x: x[:, :1], "bad-answer", "decode"),
    ("diffusion", "decode", lambda x: x * 255, "bad-answer", "decode"),
    ("diffusion", "decode", poisoned, "not-finite", "decode"),
    ("regression", "predict", image(lambda x: x.double()), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: (x * 255).byte()), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x.to("meta")), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: x.tolist()), "bad-answer", "regression"),
    ("regression", "predict", image(lambda x: 2 * x - 1.5), "bad-answer", "regression"),
    ("regression", "predict", opacity(lambda x: x * torch.nan), "not-finite", "regression"),
    ("regression", "predict", opacity(lambda x: x.to("meta")), "bad-answer", "regression"),
    ("regression", "predict", depth(lambda x: -x), "bad-answer", "regression"),
    ("regression", "predict", depth(lambda x: x * torch.inf), "not-finite", "regression"),
    ("regression", "predict", sureness(torch.full((2, 32, 32), 7.0)), "bad-answer", "regression"),
    ("regression", "predict", splats(rotations=torch.zeros(5, 4)), "bad-answer", "regression"),
    ("regression", "predict", splats(means=torch.zeros(3)), "bad-answer", "regression"),
    ("regression", "predict", splats(opacities=torch.zeros(3)), "bad-answer", "regression"),
    ("regression", "predict", splats(harmonics=None), "bad-answer", "regression"),
    ("regression", "predict", lambda c: replace(c, gaussians=7), "bad-answer", "regression"),
    ("regression", "predict", lambda c: replace(c, warnings="no"), "bad-answer", "regression"),
    ("regression", "predict", sys_exit, "component-raised", "regression"),
    ("regression", "predict", own_base_exception, "component-raised", "regression"),
    ("quality", "score", lambda s: -s, "bad-answer", "quality"),
    ("quality", "score", lambda s: s.int(), "bad-answer", "quality"),
    ("quality", "score", lambda s: None, "bad-answer", "quality"),
    ("quality", "score", lambda s: s / 0, "not-finite", "quality"),
    ("mask", "mask", lambda m: None, "bad-answer", "plan"),
    ("mask", "mask", lambda m: m[:2], "bad-answer", "plan"),
    ("mask", "mask", lambda m: m.numpy(), "bad-answer", "plan"),
    ("mask", "mask", broken, "component-raised", "plan"),
    ("mask", "mask", lambda m: m.to_sparse(), "bad-answer", "plan"),
    ("mask", "mask", other_default_type, "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=list(s.steps)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=None), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2, 3, True)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, steps=(1, 2, 3, -1)), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, cluster="a"), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, cluster=-1), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, objective="mine"), "bad-answer", "plan"),
    ("steps", "start_steps", lambda s: replace(s, notes=(1,)), "bad-answer", "plan"),
    ("diffusion", "encode", lambda x: x.long(), "bad-answer", "encode"),
    ("diffusion", "encode", lambda x: x[:2], "bad-answer", "encode"),
    ("diffusion", "encode", lambda x: None, "bad-answer", "encode"),
    ("diffusion", "sampler", lambda s: None, "bad-answer", "encode"),
    ("diffusion", "sampler", lambda s: karras(s.num_steps - 1), "bad-answer", "encode"),
    ("diffusion", "sampler", saying(num_steps=50.0), "bad-answer", "encode"),
    ("diffusion", "sampler", saying(num_steps=torch.tensor(50)), "bad-answer", "encode"),
    ("diffusion", "sampler", saying(solvers=7), "bad-answer", "encode"),
    ("diffusion", "sampler", broken, "component-raised", "encode"),
    (
        "diffusion",
        "sampler",
        lambda s: Altered(s, "noised", lambda x: x[:1]),
        "bad-answer",
        "denoise",
    ),
    (
        "diffusion",
        "sampler",
        lambda s: Altered(s, "advance", torch.Tensor.double),
        "bad-answer",
        "denoise",
    ),
    (
        "diffusion",
        "sampler",
        lambda s: Altered(s, "advance", lambda x: x / 0),
        "not-finite",
        "denoise",
    ),
    (
        "diffusion",
        "sampler",
        lambda s: Altered(s, "advance", broken),
        "component-raised",
        "denoise",
    ),
    ("diffusion", "condition", broken, "component-raised", "encode"),
    ("diffusion", "denoise", lambda x: x.double(), "bad-answer", "denoise"),
    ("diffusion", "denoise", lambda x: x.to("meta"), "bad-answer", "denoise"),
    ("diffusion", "denoise", lambda x: (x, x), "bad-answer", "denoise"),
    ("diffusion", "denoise", sys_exit, "component-raised", "denoise"),
    ("diffusion", "denoise", poisoned, "not-finite", "denoise"),
    ("diffusion", "decode", lambda x: 2 * x - 1, "bad-answer", "decode"),
    ("diffusion", "decode", lambda x: x[:1], "bad-answer", "decode"),
    ("diffusion", "decode", lambda x: x.to("meta"), "bad-answer", "decode"),
    ("diffusion", "decode", lambda x: x[..., ::2], "bad-answer", "decode"),
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
        assert error.hint == f"Run: sphinx-nvs check fake --kind {role}."
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

"""Every check of the contract suites catches a component that breaks it."""

import unittest
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from engines import CPU
from torch.nn import functional as F

from sphinx_framework.plugin import Capabilities
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.testing.contracts import (
    CONTRACTS,
    Contract,
    DiffusionContract,
    NotApplicable,
)
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeEmbedder,
    FakeMask,
    FakeQuality,
    FakeRegression,
    FakeSteps,
)
from sphinx_framework.types import ClipLayout, CoarseViews, StartSteps

FAKES = {
    "regression": FakeRegression,
    "diffusion": FakeDiffusion,
    "quality": FakeQuality,
    "mask": FakeMask,
    "steps": FakeSteps,
    "embedder": FakeEmbedder,
}
State = dict[str, Any]


def wrapped(kind: str, method: str, change: Callable[..., Any]) -> Any:
    """A fake whose ``method`` is ``change(fake, original method, state, *arguments)``."""
    fake = FAKES[kind](FakeConfig(), CPU)
    original, state = getattr(fake, method), {}
    setattr(fake, method, lambda *given: change(fake, original, state, *given))
    return fake


def caught(suite: Contract, check: str) -> bool:
    try:
        getattr(suite, f"test_{check}")()
    except (AssertionError, RuntimeError, TypeError, ValueError):
        return True
    return False


def suite_of(kind: str, component: Any) -> Contract:
    return type("Suite", (CONTRACTS[kind],), {"make": lambda _: component})()


def views(change: Callable[[CoarseViews], dict[str, Any]]) -> Callable[..., CoarseViews]:
    def changed(fake, predict, state, scene):
        coarse = predict(scene)
        return replace(coarse, **change(coarse))

    return changed


def in_place(fake, predict, state, scene):
    coarse = predict(scene)
    scene.images.mul_(0.5)
    return coarse


def counting(fake, predict, state, scene):
    state["runs"] = state.get("runs", 0) + 1
    coarse = predict(scene)
    return replace(coarse, images=coarse.images / state["runs"])


def by_index(coarse: CoarseViews) -> dict[str, Any]:
    fade = torch.linspace(1, 0.5, len(coarse.images))[:, None, None, None]
    return {"images": coarse.images * fade}


def calls(fake, score, state, *given):
    state["runs"] = state.get("runs", 0) + 1
    return score(*given) + state["runs"]


def looks_at_all_frames(fake, denoise, state, x, step, condition, ops):
    return denoise(x, step, condition, ops) + x.mean(0, keepdim=True)


def looks_at_neighbours(fake, denoise, state, x, step, condition, ops):
    kernel = torch.full((8, 1, 3, 3), 1 / 9)
    return denoise(x, step, condition, ops) + F.conv2d(x, kernel, padding=1, groups=8)


def counts_its_own_rows(fake, denoise, state, x, step, condition, ops):
    return denoise(x, step, condition, ops) + torch.arange(float(len(x))).view(-1, 1, 1, 1)


def remembers_other_requests(fake, denoise, state, x, step, condition, ops):
    if len(x) == len(condition):
        state["context"] = x.mean()
    return denoise(x, step, condition, ops) + state.get("context", 0.0)


def of_a_missing_target(fake, layouts, state, scene):
    (layout,) = layouts(scene)
    return (ClipLayout(slots=layout.slots[:-2]),)


def twice(fake, layouts, state, scene):
    return layouts(scene) * 2


def never_clean(fake, make, state, num_steps):
    schedule = make(num_steps)
    schedule.sigmas[-1] = 0.3
    return schedule


def stuck(fake, make, state, num_steps):
    class Stuck(SigmaSampler):
        def advance(self, x, denoised, move):
            return x

    return Stuck(torch.tensor(make(num_steps).sigmas))


def start_steps(change: Callable[..., list[Any]]) -> Callable[..., StartSteps]:
    def changed(fake, decide, state, report, scene, target, num_steps):
        return StartSteps(steps=tuple(change(report.ratio.tolist(), target, num_steps)))

    return changed


BROKEN = [
    ("regression", "predict", views(lambda c: {"images": c.images[:1]}), "renders_every_target"),
    ("regression", "predict", views(lambda c: {"images": c.images + 1}), "renders_every_target"),
    (
        "regression",
        "predict",
        views(lambda c: {"images": c.images * float("nan")}),
        "renders_every_target",
    ),
    ("regression", "predict", views(lambda c: {"opacity": c.opacity + 1}), "renders_every_target"),
    ("regression", "predict", views(lambda c: {"opacity": c.opacity[0]}), "renders_every_target"),
    ("regression", "predict", in_place, "is_deterministic"),
    ("regression", "predict", counting, "is_deterministic"),
    ("regression", "predict", views(by_index), "permuting_targets"),
    ("diffusion", "layouts", of_a_missing_target, "layouts_make_every_target_once"),
    ("diffusion", "layouts", twice, "layouts_make_every_target_once"),
    ("diffusion", "encode", lambda f, e, s, x: e(x)[..., 1:], "codec_shapes"),
    ("diffusion", "decode", lambda f, d, s, x: d(x)[:, :, ::2], "codec_shapes"),
    ("diffusion", "sampler", never_clean, "schedule_ends_clean"),
    ("diffusion", "sampler", stuck, "schedule_ends_clean"),
    ("diffusion", "sampler", lambda f, n, s, count: n(count + 1), "schedule_ends_clean"),
    ("diffusion", "denoise", lambda f, d, s, *x: d(*x)[:1], "denoise_predicts_latents"),
    ("diffusion", "denoise", lambda f, d, s, *x: d(*x) / 0, "denoise_predicts_latents"),
    ("diffusion", "denoise", looks_at_all_frames, "fresh_cache_equivalence_of_frames"),
    ("diffusion", "denoise", looks_at_all_frames, "fresh_cache_equivalence_of_tiles"),
    ("diffusion", "denoise", looks_at_neighbours, "fresh_cache_equivalence_of_tiles"),
    ("diffusion", "denoise", counts_its_own_rows, "fresh_cache_equivalence_of_frames"),
    ("diffusion", "denoise", remembers_other_requests, "interleaved_requests_equal_sequential"),
    ("quality", "score", lambda f, q, s, *x: q(*x)[:1], "one_finite_positive_score"),
    ("quality", "score", lambda f, q, s, *x: -q(*x), "one_finite_positive_score"),
    ("quality", "score", lambda f, q, s, *x: q(*x) * float("nan"), "one_finite_positive_score"),
    ("quality", "score", lambda f, q, s, *x: q(*x) / q(*x).sum(), "a_batch_scores_like"),
    ("quality", "score", calls, "a_batch_scores_like"),
    ("quality", "score", lambda f, q, s, x: q(x), "accepts_the_opacity"),
    ("mask", "mask", lambda f, m, s, *x: m(*x).float(), "marks_pixels_of_every_target"),
    ("mask", "mask", lambda f, m, s, *x: m(*x)[:1], "marks_pixels_of_every_target"),
    (
        "mask",
        "mask",
        lambda f, m, s, c, scene, cluster: m(c, scene, cluster)[cluster:],
        "marks_pixels_of_every_target",
    ),
    (
        "mask",
        "mask",
        lambda f, m, s, *x: s.setdefault("mask", m(*x)).logical_not_().clone(),
        "is_deterministic",
    ),
    (
        "mask",
        "mask",
        lambda f, m, s, c, *x: (m(c, *x), c.images.mul_(0.5))[0],
        "is_deterministic",
    ),
    ("steps", "start_steps", start_steps(lambda r, t, n: [0] * (len(r) - 1)), "one_step_in_range"),
    ("steps", "start_steps", start_steps(lambda r, t, n: [n + 1 for _ in r]), "one_step_in_range"),
    ("steps", "start_steps", start_steps(lambda r, t, n: [0.5 for _ in r]), "one_step_in_range"),
    (
        "steps",
        "start_steps",
        start_steps(lambda r, t, n: [int(n - 20 * min(x, 1)) for x in r]),
        "a_better_view_never_starts_earlier",
    ),
    (
        "steps",
        "start_steps",
        start_steps(lambda r, t, n: [int(n * t / 2) for x in r]),
        "a_higher_quality_target_never_starts_later",
    ),
    ("embedder", "embed", lambda f, e, s, x: 2 * e(x), "one_unit_vector"),
    ("embedder", "embed", lambda f, e, s, x: e(x)[None], "one_unit_vector"),
    ("embedder", "embed", lambda f, e, s, x: e(x[:1]), "looks_at_more_than_the_first"),
]


def checks_of(kind: str) -> list[str]:
    names = [name for name in dir(CONTRACTS[kind]) if name.startswith("test_")]
    return [name.removeprefix("test_") for name in names]


@pytest.mark.parametrize(
    ("kind", "method", "change", "check"),
    BROKEN,
    ids=[f"{kind}-{check}-{i}" for i, (kind, _, _, check) in enumerate(BROKEN)],
)
def test_a_broken_component_is_caught(kind, method, change, check):
    (full,) = [name for name in checks_of(kind) if name.startswith(check)]
    assert not caught(suite_of(kind, FAKES[kind](FakeConfig(), CPU)), full)
    assert caught(suite_of(kind, wrapped(kind, method, change)), full)


def test_every_check_has_a_component_that_it_catches():
    for kind in CONTRACTS:
        for check in checks_of(kind):
            assert any(k == kind and check.startswith(c) for k, _, _, c in BROKEN), (kind, check)


class DenseOnly(DiffusionContract):
    capabilities = Capabilities()

    def make(self):
        return FakeDiffusion(FakeConfig(), CPU)


@pytest.mark.parametrize(
    "check",
    [
        "fresh_cache_equivalence_of_frames",
        "fresh_cache_equivalence_of_tiles",
        "interleaved_requests_equal_sequential_ones",
    ],
)
def test_checks_of_what_a_model_does_not_claim_do_not_apply(check):
    with pytest.raises(NotApplicable):
        getattr(DenseOnly(), f"test_{check}")()


def test_what_does_not_apply_counts_as_skipped_for_test_runners():
    assert issubclass(NotApplicable, unittest.SkipTest)


def test_a_suite_without_a_component_says_what_to_write():
    with pytest.raises(NotApplicable, match=r"make\(\)"):
        CONTRACTS["mask"]().make()

"""Every check of the contract suites catches a component that breaks it."""

import unittest
from typing import Any

import planted_mistakes as planted
import planted_samplers as samplers
import pytest
import torch
from engines import CPU
from planted_mistakes import start_steps, views, writing
from planted_samplers import sampler_of

from sphinx_framework.errors import SphinxError
from sphinx_framework.plugin import Capabilities
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

FAKES = {
    "regression": FakeRegression,
    "diffusion": FakeDiffusion,
    "quality": FakeQuality,
    "mask": FakeMask,
    "steps": FakeSteps,
    "embedder": FakeEmbedder,
}
NAN = float("nan")
CLAIM = "no_clip_is_longer_than_the_claim"  # of max_frames, which the fake does not make


def wrapped(kind: str, method: str, change: planted.Change) -> Any:
    """A fake whose ``method`` is ``change(fake, original method, state, *arguments)``."""
    fake = FAKES[kind](FakeConfig(), CPU)
    original, state = getattr(fake, method), {}
    setattr(fake, method, lambda *given: change(fake, original, state, *given))
    return fake


def complaint(suite: Contract, check: str) -> str | None:
    """What a check says of a component; ``None`` where it holds."""
    try:
        getattr(suite, f"test_{check}")()
    except (AssertionError, RuntimeError, TypeError, ValueError, IndexError, AttributeError) as e:
        return str(e)
    except SphinxError as error:
        return str(error)
    return None


def suite_of(kind: str, component: Any) -> Contract:
    return type("Suite", (CONTRACTS[kind],), {"make": lambda _: component})()


BROKEN = [
    ("regression", "predict", views(lambda c: {"images": c.images[:1]}), "renders_every"),
    ("regression", "predict", views(lambda c: {"images": c.images + 1}), "renders_every"),
    ("regression", "predict", views(lambda c: {"images": c.images * 255}), "renders_every"),
    ("regression", "predict", views(lambda c: {"images": c.images * NAN}), "renders_every"),
    ("regression", "predict", views(lambda c: {"opacity": c.opacity + 1}), "renders_every"),
    ("regression", "predict", views(lambda c: {"opacity": c.opacity[0]}), "renders_every"),
    ("regression", "predict", planted.fixed_number_of_targets, "renders_every"),
    ("regression", "predict", planted.square_views, "renders_every"),
    ("regression", "predict", writing(lambda s: s.images), "is_deterministic"),
    ("regression", "predict", writing(lambda s: s.inputs.intrinsics), "is_deterministic"),
    ("regression", "predict", writing(lambda s: s.targets.intrinsics), "is_deterministic"),
    ("regression", "predict", writing(lambda s: s.inputs.world_from_camera), "is_deterministic"),
    ("regression", "predict", planted.reseeding, "is_deterministic"),
    ("regression", "predict", planted.counting, "is_deterministic"),
    ("regression", "predict", views(planted.by_index), "permuting_targets"),
    ("regression", "predict", planted.features_of_the_first_scene, "keeps_nothing"),
    ("regression", "predict", planted.features_by_size, "keeps_nothing"),
    ("regression", "predict", planted.poses_the_wrong_way, "the_world_frame"),
    ("regression", "predict", planted.rotation_ignored, "a_turned_target"),
    ("regression", "predict", planted.certain_where_nothing_is_seen, "opacity_is_certainty"),
    ("diffusion", "layouts", planted.of_a_missing_target, "layouts_make"),
    ("diffusion", "layouts", planted.first_three_targets, "layouts_make"),
    ("diffusion", "layouts", planted.an_input_too_many, "layouts_make"),
    ("diffusion", "layouts", lambda f, make, s, x: make(x) * 2, "layouts_make"),
    ("diffusion", "layouts", lambda f, make, s, x: (), "layouts_make"),
    ("diffusion", "encode", lambda f, e, s, x: e(x)[..., 1:], "codec_shapes"),
    ("diffusion", "encode", writing(lambda x: x), "codec_shapes"),
    ("diffusion", "decode", lambda f, d, s, x: d(x)[:, :, ::2], "codec_shapes"),
    ("diffusion", "decode", lambda f, d, s, x: d(x)[:, :1], "codec_shapes"),
    ("diffusion", "decode", writing(lambda x: x), "codec_shapes"),
    ("diffusion", "decode", lambda f, d, s, x: d(x) * 2 - 1, "decoded_images_lie"),
    ("diffusion", "decode", lambda f, d, s, x: d(x) * 255, "decoded_images_lie"),
    ("diffusion", "encode", planted.samples_its_latents, "encoding_is_deterministic"),
    ("diffusion", "encode", planted.normalised_over_the_batch, "encoding_is_deterministic"),
    ("diffusion", "sampler", samplers.never_clean, "schedule_ends_clean"),
    ("diffusion", "sampler", sampler_of(samplers.stuck), "schedule_ends_clean"),
    ("diffusion", "sampler", lambda f, n, s, count: n(count + 1), "noise_falls"),
    ("diffusion", "sampler", lambda f, n, s, count: n(10), "noise_falls"),
    ("diffusion", "sampler", sampler_of(samplers.one_step_only), "a_move_lands"),
    ("diffusion", "sampler", sampler_of(samplers.level_of_the_step_before), "a_move_lands"),
    ("diffusion", "sampler", sampler_of(samplers.noise_of_its_own), "a_move_lands"),
    ("diffusion", "sampler", sampler_of(samplers.too_much_noise), "a_move_lands"),
    ("diffusion", "sampler", sampler_of(samplers.in_place), "a_move_lands"),
    ("diffusion", "sampler", sampler_of(samplers.past_of_the_wrong_sign), "a_steady_estimate"),
    ("diffusion", "sampler", sampler_of(samplers.past_too_strong), "the_past_does_not"),
    ("diffusion", "denoise", lambda f, d, s, *x: d(*x)[:1], "denoise_predicts"),
    ("diffusion", "denoise", lambda f, d, s, *x: d(*x) / 0, "denoise_predicts"),
    ("diffusion", "denoise", planted.nan_at(0), "denoise_predicts"),
    ("diffusion", "denoise", planted.nan_at(9), "denoise_predicts"),
    ("diffusion", "denoise", planted.frame_count(5), "denoise_predicts"),
    ("diffusion", "denoise", planted.step_number, "denoise_predicts"),
    ("diffusion", "denoise", planted.square_latents, "denoise_predicts"),
    ("diffusion", "condition", planted.needs_opacity, "works_without_opacity"),
    ("diffusion", "denoise", planted.predicts_noise, "the_prediction_is_the_clean"),
    ("diffusion", "condition", planted.writes_into_the_condition, "nothing_that_is_handed"),
    ("diffusion", "condition", writing(lambda s, c, *_: c.opacity), "nothing_that_is_handed"),
    ("diffusion", "condition", writing(lambda s, c, *_: c.images), "nothing_that_is_handed"),
    (
        "diffusion",
        "condition",
        writing(lambda s, *_: s.inputs.intrinsics),
        "nothing_that_is_handed",
    ),
    ("diffusion", "denoise", writing(lambda x, *_: x), "nothing_that_is_handed"),
    ("diffusion", "denoise", planted.reseeding, "nothing_that_is_handed"),
    ("diffusion", "denoise", planted.constant_of_the_step, "what_is_computed_once"),
    ("diffusion", "condition", planted.condition_on_self, "requests_share_no_state"),
    ("diffusion", "sampler", planted.sampler_on_self, "requests_share_no_state"),
    ("diffusion", "condition", planted.poses_in_the_world, "the_world_frame"),
    ("diffusion", "denoise", planted.looks_at_all_frames, "fresh_cache_equivalence_of_frames"),
    ("diffusion", "denoise", planted.looks_at_all_frames, "fresh_cache_equivalence_of_tiles"),
    ("diffusion", "denoise", planted.looks_at_neighbours, "fresh_cache_equivalence_of_tiles"),
    ("diffusion", "denoise", planted.counts_its_own_rows, "fresh_cache_equivalence_of_frames"),
    ("diffusion", "denoise", planted.remembers_other_requests, "interleaved_requests"),
    ("quality", "score", lambda f, q, s, *x: q(*x)[:1], "one_finite_positive_score"),
    ("quality", "score", lambda f, q, s, *x: -q(*x), "one_finite_positive_score"),
    ("quality", "score", lambda f, q, s, *x: q(*x) * NAN, "one_finite_positive_score"),
    ("quality", "score", planted.undefined_on_flat, "flat_images"),
    ("quality", "score", lambda f, q, s, *x: q(*x) / q(*x).sum(), "a_batch_scores_like"),
    ("quality", "score", lambda f, q, s, x: q(x), "accepts_the_opacity"),
    ("quality", "score", lambda f, q, s, *x: 1 / q(*x), "a_ruined_photo"),
    ("quality", "score", planted.score_calls, "is_deterministic"),
    ("quality", "score", writing(lambda x, *_: x), "is_deterministic"),
    ("mask", "mask", lambda f, m, s, *x: m(*x).float(), "marks_pixels"),
    ("mask", "mask", lambda f, m, s, *x: m(*x)[:1], "marks_pixels"),
    ("mask", "mask", lambda f, m, s, c, x, cluster: m(c, x, cluster)[cluster:], "marks_pixels"),
    ("mask", "mask", planted.mask_of_opacity_only, "answers_where_no_opacity"),
    ("mask", "mask", planted.inverted_mask, "uncertain_pixels"),
    (
        "mask",
        "mask",
        lambda f, m, s, *x: s.setdefault("mask", m(*x)).logical_not_().clone(),
        "is_deterministic",
    ),
    ("mask", "mask", writing(lambda c, *_: c.images), "is_deterministic"),
    ("mask", "mask", writing(lambda c, *_: c.opacity), "is_deterministic"),
    ("steps", "start_steps", start_steps(lambda r, t, n: [0] * (len(r) - 1)), "one_step"),
    ("steps", "start_steps", start_steps(lambda r, t, n: [n + 1 for _ in r]), "one_step"),
    ("steps", "start_steps", start_steps(lambda r, t, n: [0.5 for _ in r]), "one_step"),
    ("steps", "start_steps", start_steps(lambda r, t, n: [int(20 * x) for x in r]), "a_ratio"),
    (
        "steps",
        "start_steps",
        start_steps(lambda r, t, n: [int(n - 20 * min(x, 1)) for x in r]),
        "a_better_view",
    ),
    (
        "steps",
        "start_steps",
        start_steps(lambda r, t, n: [int(20 * min(r)) for _ in r]),
        "a_target_is_judged",
    ),
    (
        "steps",
        "start_steps",
        start_steps(lambda r, t, n: [int(n * t / 2) for x in r]),
        "a_higher_quality",
    ),
    ("embedder", "embed", lambda f, e, s, x: 2 * e(x), "one_unit_vector"),
    ("embedder", "embed", lambda f, e, s, x: e(x)[None], "one_unit_vector"),
    ("embedder", "embed", writing(lambda x: x), "one_unit_vector"),
    ("embedder", "embed", planted.vector_per_input, "the_length"),
    ("embedder", "embed", planted.undefined_on_black, "flat_photos"),
    ("embedder", "embed", lambda f, e, s, x: e(x[:1]), "looks_at_more"),
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
    assert complaint(suite_of(kind, wrapped(kind, method, change)), full) is not None


@pytest.mark.parametrize("kind", FAKES)
def test_every_check_has_a_component_that_it_catches(kind):
    for check in set(checks_of(kind)) - {CLAIM}:
        assert any(k == kind and check.startswith(c) for k, _, _, c in BROKEN), (kind, check)


def test_a_failure_says_what_was_expected_what_came_and_where_to_read():
    broken = wrapped("regression", "predict", views(lambda c: {"images": c.images * 255}))
    told = complaint(suite_of("regression", broken), "renders_every_target_in_range")
    assert told is not None
    for part in ("expected images in [0, 1]", "got [", "writing-a-plugin.md", "regression model"):
        assert part in told


def test_a_claimed_longest_clip_that_layouts_exceed_is_caught():
    suite = suite_of("diffusion", FakeDiffusion(FakeConfig(), CPU))
    suite.capabilities = Capabilities(max_frames=4)
    told = complaint(suite, CLAIM)
    assert told is not None
    assert "at most max_frames = 4" in told


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


def test_scenes_of_the_suites_differ_in_count_size_and_camera():
    scenes = list(DenseOnly().variations())
    assert len({tuple(s.images.shape) for s in scenes}) >= 3
    turned = scenes[0].targets.world_from_camera[:, :3, :3]
    assert not torch.equal(turned[0], turned[-1])

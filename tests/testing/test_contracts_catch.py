"""Every check of the contract suites catches a component that breaks it."""

import logging
import os
import random
import signal
import unittest

import numpy as np
import planted_third as third
import pytest
import torch
from engines import CPU
from planted_fifth_list import FIFTH
from planted_fourth_list import FOURTH
from planted_list import BROKEN
from planted_mistakes import views
from planted_subtle_list import SUBTLE
from planted_suites import FAKES, checks_of, complaint, suite_of, wrapped
from planted_third_list import THIRD

from sphinx_framework.plugin import Capabilities
from sphinx_framework.testing.contracts import (
    CONTRACTS,
    DiffusionContract,
    NotApplicable,
)
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
)

CLAIM = "no_clip_is_longer_than_the_claim"  # of max_frames, which the fake does not make
GUIDED = "one_branch_and_the_difference_are_as_good_as_both"  # the fake has one branch
LOST = "tells_what_each_frame_lost"  # the fake tells none
MEASURED = "measured_qualities_ascend"  # the fake names none
CAPTURE = "a_capture_has_the_cameras_of_its_scene"  # the reader has none
MAKING = "making_it_changes_nothing_for_others"  # every other plant is in an answer
LEVELS = "the_noise_level_is_that_of_the_step_asked_about"  # the fake is told no level
BESIDE = "a_step_is_told_from_the_one_beside_it"
FINISHED = "finished_frames_are_pictures_each_for_itself"  # the fake finishes none
TOGETHER = "several_requests_in_one_call_equal_each_alone"  # the fake is asked one by one


@pytest.fixture(autouse=True)
def settings_of_the_process():
    """Put back what broken components change for everybody."""
    threads, folder = torch.get_num_threads(), os.getcwd()
    precision, interrupt = torch.get_float32_matmul_precision(), signal.getsignal(signal.SIGINT)
    numpy, level = np.geterr(), logging.getLogger().level
    yield
    os.chdir(folder)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    np.seterr(**numpy)
    logging.getLogger().setLevel(level)
    signal.signal(signal.SIGINT, interrupt)


PLANTED = [*BROKEN, *SUBTLE, *THIRD, *FOURTH, *FIFTH]


@pytest.mark.parametrize(
    ("kind", "method", "change", "check"),
    PLANTED,
    ids=[f"{kind}-{check}-{i}" for i, (kind, _, _, check) in enumerate(PLANTED)],
)
def test_a_broken_component_is_caught(kind, method, change, check):
    (full,) = [name for name in checks_of(kind) if name.startswith(check)]
    suite = suite_of(kind, wrapped(kind, method, change))
    assert complaint(suite, full, getattr(change, "crash", "")) is not None


@pytest.mark.parametrize("kind", FAKES)
def test_the_fakes_keep_every_demand(kind):
    suite = suite_of(kind, FAKES[kind](FakeConfig(), CPU))
    for check in checks_of(kind):
        assert complaint(suite, check) is None, check


@pytest.mark.parametrize(
    ("attribute", "value", "check"),
    [
        ("latent_factor", 8, "codec_shapes"),
        ("latent_factor", 4.0, "layouts_make_every_target_once"),
        ("tile", 0, "layouts_make_every_target_once"),
        ("tile", "2", "layouts_make_every_target_once"),
    ],
)
def test_a_model_that_states_its_sizes_wrongly_is_caught(attribute, value, check):
    model = FakeDiffusion(FakeConfig(), CPU)
    setattr(model, attribute, value)
    assert complaint(suite_of("diffusion", model), check) is not None


def halving(lost, images, evidence):
    images.mul_(0.5)
    return lost


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lost, images, evidence: lost, None),
        (lambda lost, images, evidence: lost * float("nan"), "finite"),
        (lambda lost, images, evidence: lost[:1], "shape"),
        (lambda lost, images, evidence: lost.double(), "float32"),
        (lambda lost, images, evidence: lost - lost.mean(), "from that frame alone"),
        (halving, "left as it was"),
    ],
)
def test_an_estimator_that_tells_losses_wrongly_is_caught(change, says):
    told = complaint(suite_of("quality", third.losing(change)), LOST)
    assert told is None if says is None else says in told


@pytest.mark.parametrize(
    ("qualities", "right"),
    [((0.5, 0.9, 1.0), True), ((1.0, 0.9), False), ((95, 100), False), ([0.9], False)],
)
def test_qualities_that_nobody_can_step_along_are_caught(qualities, right):
    told = complaint(suite_of("steps", third.measured(qualities)), MEASURED)
    assert (told is None) == right


@pytest.mark.parametrize("kind", FAKES)
def test_every_check_has_a_component_that_it_catches(kind):
    elsewhere = {
        CLAIM,
        GUIDED,
        FINISHED,
        TOGETHER,
        LOST,
        MEASURED,
        CAPTURE,
        MAKING,
        LEVELS,
        BESIDE,
    }  # tested by components of their own
    for check in set(checks_of(kind)) - elsewhere:
        assert any(k == kind and check.startswith(c) for k, _, _, c in PLANTED), (kind, check)


def test_a_failure_says_what_was_expected_what_came_and_where_to_read():
    broken = wrapped("regression", "predict", views(lambda c: {"images": c.images * 255}))
    told = complaint(suite_of("regression", broken), "renders_every_target_in_range")
    assert told is not None
    for part in ("expected images in [0, 1]", "got [", "writing-a-plugin.md", "regression model"):
        assert part in told


class Together(FakeDiffusion):
    """Answers several requests in one call, rightly."""

    def denoise_many(self, rows, steps, conditions, executors, ops):
        asked = zip(rows, steps, conditions, executors, strict=True)
        return [self.denoise(*each) for each in asked]


class Backwards(Together):
    def denoise_many(self, *given):
        return super().denoise_many(*given)[::-1]


class AtOneStep(Together):
    def denoise_many(self, rows, steps, *rest):
        return super().denoise_many(rows, steps[:1] * len(rows), *rest)


@pytest.mark.parametrize(
    ("model", "right"), [(Together, True), (Backwards, False), (AtOneStep, False)]
)
def test_requests_that_are_mixed_up_in_one_call_are_caught(model, right):
    told = complaint(suite_of("diffusion", model(FakeConfig(), CPU)), TOGETHER)
    assert (told is None) == right


class Guided(FakeDiffusion):
    """A tenth of a prediction is what guidance adds."""

    guided = True

    def denoise_guided(self, x, step, condition, ops, difference):
        plain = self.denoise(x, step, condition, ops)
        if difference is None:
            return plain, 0.1 * plain
        return 0.9 * plain + difference, difference


class Unguided(Guided):
    """Forgets the difference that it is handed."""

    def denoise_guided(self, x, step, condition, ops, difference):
        both, own = super().denoise_guided(x, step, condition, ops, difference)
        return (both, own) if difference is None else (both - difference, difference)


class Otherwise(Guided):
    """Predicts something else as soon as it is asked for the difference."""

    def denoise_guided(self, x, step, condition, ops, difference):
        both, own = super().denoise_guided(x, step, condition, ops, difference)
        return 1.001 * both, own


@pytest.mark.parametrize(
    ("model", "right"), [(Guided, True), (Unguided, False), (Otherwise, False)]
)
def test_guidance_that_is_told_apart_wrongly_is_caught(model, right):
    told = complaint(suite_of("diffusion", model(FakeConfig(), CPU)), GUIDED)
    assert (told is None) == right, told


def test_a_claimed_longest_clip_that_layouts_exceed_is_caught():
    suite = suite_of("diffusion", FakeDiffusion(FakeConfig(), CPU))
    suite.capabilities = Capabilities(max_frames=4)
    told = complaint(suite, CLAIM)
    assert told is not None
    assert "at most max_frames = 4" in told


def draws():
    torch.nn.Linear(8, 8)
    np.random.random(5000)


def seeds_apart():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)


@pytest.mark.parametrize(
    ("making", "says"),
    [
        (draws, None),
        (seeds_apart, None),
        (lambda: torch.manual_seed(0), "the random state of torch"),
        (lambda: np.random.seed(0), "the random state of numpy"),
        (lambda: random.seed(0), "the random state of Python"),
        (lambda: torch.set_float32_matmul_precision("medium"), "settings of torch"),
        (lambda: os.chdir("/"), "settings of folder"),
        (lambda: logging.getLogger().setLevel(logging.DEBUG), "settings of root logger"),
    ],
)
@pytest.mark.parametrize("kind", ["mask", "diffusion"])
def test_a_component_whose_making_changes_what_all_share_is_caught(kind, making, says):
    def make(suite):
        making()
        return FAKES[kind](FakeConfig(), CPU)

    suite = type("Suite", (CONTRACTS[kind],), {"make": make})()
    told = complaint(suite, MAKING)
    assert told is None if says is None else says in told


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

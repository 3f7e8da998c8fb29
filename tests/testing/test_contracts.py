"""The contract suites hold for the fakes, as a plugin author would run them."""

import torch
from engines import CPU, TwoClipDiffusion

from sphinx_framework.testing.contracts import (
    CONTRACTS,
    DiffusionContract,
    EmbedderContract,
    MaskContract,
    QualityContract,
    RegressionContract,
    StepsContract,
)
from sphinx_framework.testing.fake_transformer import FakeTransformerDiffusion
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeEmbedder,
    FakeMask,
    FakeQuality,
    FakeRegression,
    FakeSteps,
)


class TestFakeRegression(RegressionContract):
    def make(self):
        return FakeRegression(FakeConfig(), CPU)


class TestFakeDiffusion(DiffusionContract):
    def make(self):
        return FakeDiffusion(FakeConfig(seed=1), CPU)


class TestFakeDiffusionWithASolverOfSeveralSteps(DiffusionContract):
    size = (32, 16)
    targets = 5

    def make(self):
        return FakeDiffusion(FakeConfig(solver="dpmpp_2m"), CPU)


class TestFakeTransformer(DiffusionContract):
    def make(self):
        return FakeTransformerDiffusion(FakeConfig(), CPU)


class TestFakeTransformerOnAWideClip(DiffusionContract):
    size = (32, 64)
    targets = 5

    def make(self):
        return FakeTransformerDiffusion(FakeConfig(seed=2), CPU)


class TestFakeDiffusionOfTwoClips(DiffusionContract):
    def make(self):
        return TwoClipDiffusion(FakeConfig(), CPU)


class TestFakeQuality(QualityContract):
    def make(self):
        return FakeQuality(FakeConfig(), CPU)


class TestFakeMask(MaskContract):
    def make(self):
        return FakeMask(FakeConfig(), CPU)


class TestFakeSteps(StepsContract):
    def make(self):
        return FakeSteps(FakeConfig(), CPU)


class TestFakeEmbedder(EmbedderContract):
    def make(self):
        return FakeEmbedder(FakeConfig(), CPU)


def test_the_suite_of_every_kind_can_be_looked_up():
    assert CONTRACTS.keys() >= {
        "regression",
        "diffusion",
        "quality",
        "mask",
        "steps",
        "embedder",
    }


def test_scenes_of_the_suites_are_valid_and_reproducible():
    suite = RegressionContract()
    suite.scene().validate()
    assert torch.equal(suite.scene(4).images, suite.scene(4).images)

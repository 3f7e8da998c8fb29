"""The learned step policy: what it is trained to, what its files may hold, what it promises."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from sphinx_framework.errors import ConfigError
from sphinx_framework.protocols import ObservedScene
from sphinx_framework.testing.contracts import StepsContract
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene
from sphinx_framework.types import QualityReport
from sphinx_framework_ddp.config import LearnedStepsConfig
from sphinx_framework_ddp.network import ExpectedQuality
from sphinx_framework_ddp.policy import LearnedPolicy, LearnedSteps, latest_arms, read_policy
from sphinx_framework_ddp.training import policy_loss, train

CPU = torch.device("cpu")
STARTS = (0, 10, 20, 30, 40, 50)


def observed(seed: int, *, starts: tuple[int, ...] = STARTS) -> ObservedScene:
    """Dark scenes lose quality with every later start, bright ones none; the ratio says little."""
    scene = fake_scene(targets=5, size=(32, 32), seed=seed)
    bright = seed % 2 == 0
    coarse = FakeRegression(FakeConfig(), CPU).predict(scene)
    coarse = type(coarse)(images=coarse.images * (1.0 if bright else 0.3), opacity=coarse.opacity)
    ratio = torch.linspace(0.6, 0.9, 5)
    lost = torch.linspace(0, 1, len(starts)) * (0.01 if bright else 0.5)
    return ObservedScene(
        name=f"scene-{seed}",
        scene=scene,
        report=QualityReport(
            score=ratio, reference=torch.ones(5), ratio=ratio, input_score=torch.ones(2),
            coarse=coarse,
        ),
        num_steps=50,
        starts=starts,
        kept=(1 - lost).expand(5, -1).clone(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def policy() -> LearnedPolicy:
    trained = train([observed(seed) for seed in range(12)], seed=0).policy
    assert isinstance(trained, LearnedPolicy)
    return trained


@pytest.fixture
def file(policy: LearnedPolicy, tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(policy.text())
    return path


class TestLearnedSteps(StepsContract):
    @pytest.fixture(autouse=True)
    def _policy(self, file: Path) -> None:
        self.policy = LearnedSteps(LearnedStepsConfig(policy=str(file)), CPU)

    def make(self) -> LearnedSteps:
        return self.policy


def test_scenes_it_never_saw_start_late_where_nothing_is_lost(policy: LearnedPolicy) -> None:
    bright, dark = observed(20), observed(21)
    late, early = (
        policy.start_steps(seen.report, seen.scene, 0.9, 50).steps for seen in (bright, dark)
    )
    assert min(late) >= 40
    assert max(early) <= 20


def test_another_grid_gets_the_same_shares(policy: LearnedPolicy) -> None:
    seen = observed(20)
    of_50 = policy.start_steps(seen.report, seen.scene, 0.9, 50).steps
    of_10 = policy.start_steps(seen.report, seen.scene, 0.9, 10).steps
    assert of_10 == tuple(step // 5 for step in of_50)


def test_quality_1_is_full_diffusion(policy: LearnedPolicy) -> None:
    seen = observed(20)
    assert set(policy.start_steps(seen.report, seen.scene, 1.0, 50).steps) == {0}


def test_training_is_reproducible_whatever_the_order_of_scenes(monkeypatch) -> None:
    monkeypatch.setattr("sphinx_framework_ddp.training.EPOCHS", 10)
    scenes = [observed(seed) for seed in range(6)]
    assert train(scenes, seed=3).text == train(scenes[::-1], seed=3).text


def test_a_file_gives_the_same_starts_as_the_policy_that_wrote_it(
    policy: LearnedPolicy, file: Path
) -> None:
    read = read_policy(file)
    for seed in (20, 21, 22):
        seen = observed(seed)
        asked = (seen.report, seen.scene, 0.95, 50)
        assert read.start_steps(*asked).steps == policy.start_steps(*asked).steps
    assert read.text() == policy.text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("ddp/1", "ddp/9"), "schema"),
        (lambda text: text.replace("starts = [0, 10", "starts = [5, 10"), "do not rise from 0"),
        (lambda text: text.replace("margin = ", "margin = -1"), "margin"),
        (lambda text: text.replace('weights = "', 'weights = "!'), "no trained policy"),
        (lambda text: text[: len(text) // 2], "no trained policy"),
        (lambda text: text.replace("starts = [0, 10, ", "starts = [0, "), "no trained policy"),
        (lambda text: "", "schema"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(change, told: str, file: Path) -> None:
    file.write_text(change(file.read_text()))
    with pytest.raises(ConfigError, match=told) as error:
        read_policy(file)
    assert str(file) in str(error.value)


def test_a_missing_file_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as error:
        LearnedSteps(LearnedStepsConfig(policy=str(tmp_path / "none.toml")), CPU)
    assert "calibrate --policy ddp" in str(error.value.hint)


def test_too_few_or_unlike_scenes_train_nothing() -> None:
    with pytest.raises(ConfigError, match="3 scenes"):
        train([observed(seed) for seed in range(3)], seed=0)
    mixed = [observed(0), observed(1), observed(2), observed(3, starts=(0, 25, 50))]
    with pytest.raises(ConfigError, match="different start steps"):
        train(mixed, seed=0)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 999), low=st.floats(0.3, 1.2), step=st.floats(0, 0.5))
def test_starts_never_rise_with_quality(seed: int, low: float, step: float) -> None:
    expected = torch.rand(7, 6, generator=torch.Generator().manual_seed(seed)) + 0.3
    asked = latest_arms(expected, low), latest_arms(expected, low + step)
    assert all(later >= earlier for later, earlier in zip(*asked, strict=True))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999))
def test_expected_shares_never_fall_with_the_ratio(seed: int) -> None:
    torch.manual_seed(seed)
    network = ExpectedQuality(6)
    torch.nn.init.normal_(network.slope)
    views, told = torch.rand(1, 4, 16, 16), torch.rand(1, 6)
    ratios = torch.linspace(0, 2, 9)
    found = network(views.expand(9, -1, -1, -1), told.expand(9, -1), ratios)
    assert bool((found.diff(dim=0) >= -1e-5).all())


def test_the_reward_prefers_the_cheapest_arm_that_keeps_the_quality() -> None:
    kept = torch.tensor([[1.0, 0.96, 0.7]])
    walked = torch.tensor([1.0, 0.5, 0.0])

    def loss(favoured: int) -> float:
        expected = torch.full((1, 3), 0.2)
        expected[0, favoured] = 1.0
        return float(policy_loss(expected, kept, walked, 0.95))

    assert loss(1) < loss(0)
    assert loss(1) < loss(2)

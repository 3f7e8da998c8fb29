"""Steps of SEVA that run one guidance branch: what runs, and what comes out."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sphinx_framework.config import ComponentConfig, PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.policy.plan import PlanConfig
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeMask,
    FakeQuality,
    FakeRegression,
    FakeSteps,
    fake_scene,
)
from sphinx_framework_seva.model import SevaModel

CPU = torch.device("cpu")
SCENE = fake_scene(3, 2, (32, 48))
ROLES = ("regression", "diffusion", "quality", "mask", "steps")


class Watched:
    """Remembers the rows of every run of a network."""

    def __init__(self, model: SevaModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        plain = type(model.network).forward

        def forward(network: Any, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
            self.rows.append(len(x))
            return plain(network, x, *arguments, **named)

        monkeypatch.setattr(type(model.network), "forward", forward)


def engine(diffusion: Any, **guidance: Any) -> Engine:
    fakes = FakeConfig()
    components = Components(
        regression=FakeRegression(fakes, CPU),
        diffusion=diffusion,
        quality=FakeQuality(fakes, CPU),
        mask=FakeMask(fakes, CPU),
        steps=FakeSteps(fakes, CPU),
        capabilities=Capabilities(frame_subset=True, block_sparse=True),
    )
    config = PipelineConfig(
        num_steps=8,
        pipeline={role: ComponentConfig(use="given") for role in ROLES},
        plan=PlanConfig.model_validate({"refresh_every": 3, "guidance": guidance}),
        evidence=EvidenceConfig(guard=False),  # random weights keep nothing of a render
    )
    return Engine(components, config)


def branches(watched: Watched, engine: Engine, mode: Any) -> tuple[list[tuple[str, float]], Tensor]:
    """Of every move its kind, and the branches that ran."""
    watched.rows.clear()
    result = engine.render(SCENE, mode=mode, quality=0.9, seed=3)
    moves = [(step.kind, step.rows) for step in result.report.trace]
    ran = zip(moves, watched.rows, strict=True)
    return [(kind, rows / held) for (kind, held), rows in ran], result.images


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_steps_after_a_full_pass_of_both_run_one_branch(
    model: SevaModel, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    watched = Watched(model, monkeypatch)
    monkeypatch.setattr("sphinx_framework.policy.plan._tiles_pay", lambda *_: True)
    plain, exact = branches(watched, engine(model), mode)
    assert {count for _, count in plain} == {2}
    thinned, images = branches(watched, engine(model, reuse=100), mode)
    assert [kind for kind, _ in thinned] == [kind for kind, _ in plain]
    assert [count for _, count in thinned] == [2] + [1] * (len(thinned) - 1)
    assert {kind for kind, _ in thinned} >= {"full", "frames" if mode == "fine" else "tiles"}
    assert torch.isfinite(images).all()
    assert not torch.equal(images, exact)


def test_outside_of_the_interval_one_branch_runs_and_no_guidance_is_given(
    model: SevaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(model, monkeypatch)
    never, images = branches(watched, engine(model, interval=(0.99, 1.0)), "fine")
    assert {count for _, count in never} == {1}
    monkeypatch.setattr("sphinx_framework_seva.model.guided", lambda without, given, scale: given)
    _, unguided = branches(watched, engine(model), "fine")
    torch.testing.assert_close(images, unguided)


def test_a_difference_within_its_limit_of_change_is_kept_and_one_beyond_is_not(
    model: SevaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(model, monkeypatch)
    lax, _ = branches(watched, engine(model, reuse=100, change=1e6), "coarse")
    strict, _ = branches(watched, engine(model, reuse=100, change=1e-9), "coarse")
    assert [count for _, count in lax] == [2, 2] + [1] * (len(lax) - 2)
    assert {count for _, count in strict} == {2}


def test_full_diffusion_always_runs_both(model: SevaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(model, monkeypatch)
    counts, images = branches(watched, engine(model, reuse=100), "diffusion")
    assert {count for _, count in counts} == {2}
    assert torch.equal(images, branches(watched, engine(model), "diffusion")[1])


def test_a_model_without_branches_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="no two branches"):
        engine(FakeDiffusion(FakeConfig(), CPU), reuse=2).render(SCENE, mode="fine")

"""The benchmark of planted mistakes: it judges as requests do, and counts what it planted."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.scenes.load import load_scene

ROOT = Path(__file__).parents[2]
NAME = "procedural:report/520"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
        return importlib.import_module("guard_planted")


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_frames_are_judged_as_a_request_judges_them(script: ModuleType) -> None:
    scene = load_scene(NAME, size=(96, 96))
    shipped = load_config("lite")
    serving = load_config("lite", ["evidence.guard=false", "composite.finish=false"])
    engine = Engine.from_config(serving, device="cpu")
    found = script.of_scene(engine, scene, shipped.evidence, 0)
    frames = Engine(engine.components, shipped, engine.device).render(scene).report.frames
    told = [frame.lost for frame in frames if frame.lost is not None]
    assert len(told) > 1
    assert found[script.PAINTED].told.tolist() == pytest.approx(told, abs=1e-4)
    served = [frame.served == "refined" for frame in frames if frame.lost is not None]
    withheld = found[script.PAINTED].low | found[script.PAINTED].dear
    assert (~withheld).tolist() == served
    assert float(found[script.TRUTH].lost.max()) < 0
    assert {len(kind.lost) for kind in found.values()} == {len(told)}  # of all kinds


def test_what_is_planted_is_what_its_name_says(script: ModuleType, pictures: torch.Tensor) -> None:
    other = torch.full((2, 3, 32, 32), 2.0)
    made = dict(script.planted(pictures, 1 - pictures, pictures.flip(3), other, 0))
    assert torch.equal(made["as painted"], pictures)
    assert torch.equal(made["the truth"], pictures.flip(3))
    moved = made["its render, 3 pixels aside"]
    assert torch.equal(moved[..., 3:], (1 - pictures)[..., :-3])
    assert torch.equal(made["its neighbour's frame"], pictures[[1, 2, 1]])
    square = made["a foreign square, a sixteenth"]
    changed = (square != pictures).all(1)
    assert changed.sum((1, 2)).tolist() == [64] * 3
    assert (square[changed[:, None].expand_as(square)] == 2).all()
    soft = made["the same blurred, 2 pixels aside"]
    assert float(soft.var()) < float(pictures.var())
    assert float(made["black"].max()) == 0
    assert torch.equal(made["another scene"], torch.full_like(pictures, 2.0))
    assert made["coloured blocks"].unique().numel() <= 3 * 3 * 12 * 12
    assert made["noise"].shape == pictures.shape
    alone = dict(script.planted(pictures[:1], pictures[:1], pictures[:1], other, 0))
    assert "its neighbour's frame" not in alone


def found(script: ModuleType, lost: list[float], told: list[float], low: list[bool]) -> object:
    dear = torch.tensor(told) > 0.9
    return script.Found(torch.tensor(lost), torch.tensor(told), dear, torch.tensor(low))


def test_the_table_counts_bad_frames_and_others_apart(script: ModuleType) -> None:
    first = found(script, [2.0, 0.5], [1.5, 0.1], [True, False])
    second = found(script, [1.5, 1.2], [0.2, 0.3], [False, True])
    good = found(script, [-1.0], [1.0], [False])
    groups = {"some": [{"a": first, "b": good}, {"a": second}], "more": [{"b": good}, {}]}
    assert list(script.table("9x9", groups, 1.0)) == [
        "| 9x9 | some: lost more than 1 dB | some: others | more: lost more than 1 dB "
        "| more: others |",
        "|---|---|---|---|---|",
        "| a | 2 of 3 (1): 0.20 to 1.50; missed up to 1.5 | 0 of 1: 0.10 to 0.10 |  |  |",
        "| b |  | 1 of 1: 1.00 to 1.00 |  | 1 of 1: 1.00 to 1.00 |",
    ]


def test_a_pipeline_whose_score_tells_no_losses_is_refused(
    script: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        components = type("Components", (), {"quality": object()})()

    monkeypatch.setattr(script.Engine, "from_config", lambda *_, **__: Deaf())
    with pytest.raises(SystemExit):
        script.main([NAME])
    assert "says of no frame what it lost" in capsys.readouterr().err

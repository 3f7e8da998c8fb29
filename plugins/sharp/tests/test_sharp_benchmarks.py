"""The benchmark at a tiny size: what it counts is checked, its seconds are not."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "cost.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("sharp_cost", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_peak_is_what_lives_at_once(script):
    given = torch.ones(256)
    with script.LiveBytes() as live:
        first = given * 2
        second = first + 1
        del first
        third = second.view(16, 16) + 1  # a view takes nothing
        del second
    assert live.peak == 2 * given.nbytes
    assert live.now == third.nbytes


def test_costs_are_told_of_a_tiny_network(script, tiny_config, tmp_path, capsys):
    out = tmp_path / "told.json"
    sizes = tiny_config.network
    script.main(["--network", sizes.model_dump_json(), "--seconds", "--json", str(out)])
    told = json.loads(out.read_text())
    parts = [value for name, value in told.items() if name.startswith("TFLOP, ")]
    assert all(value > 0 for value in parts)
    assert sum(parts) < told["TFLOP"]
    assert told["GiB, peak"] > told["GiB, weights"] > 0
    assert told["Gaussians"] == 2 * (sizes.image_size // 2) ** 2
    assert told["s, wall"] > 0
    assert "| TFLOP |" in capsys.readouterr().out

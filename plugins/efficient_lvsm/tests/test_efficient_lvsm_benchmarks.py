"""The benchmark runs at a tiny size; what it counts is checked, its seconds are not."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "cost.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("efficient_lvsm_cost", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_operations_grow_linearly_and_a_second_request_needs_few(script, tmp_path, capsys) -> None:
    out = tmp_path / "rows.json"
    script.main(
        ["--size", "32", "--layers", "2", "--width", "128", "--counts", "2", "4", "6", "16",
         "--repeat", "1", "--json", str(out)]
    )  # fmt: skip
    rows = json.loads(out.read_text())["rows"]
    work = {row["photos"]: row["first_gflop"] for row in rows}
    assert work[6] - work[4] == pytest.approx(work[4] - work[2], rel=1e-6)
    assert work[16] - work[6] == pytest.approx(5 * (work[4] - work[2]), rel=1e-6)
    for row in rows:
        if row["photos"] >= 4:
            assert row["second_gflop"] <= 0.35 * row["first_gflop"]
        assert row["second_gflop"] < row["photo_more_gflop"] < row["first_gflop"]
        assert row["first"] > 0
    assert "| 16 |" in capsys.readouterr().out

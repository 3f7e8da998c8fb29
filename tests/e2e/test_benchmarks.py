"""The benchmark of whole requests runs at a tiny size; its figures are not looked at."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from goldens import capture_folder, captures

HERE = Path(__file__).parent
ROOM = captures() / "re10k_room"
MODES = ["diffusion", "coarse", "fine", "selective"]


@pytest.fixture(autouse=True)
def _the_capture_is_here() -> None:
    capture_folder("re10k_room")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = HERE.parents[1] / "benchmarks" / "whole_request.py"
    spec = importlib.util.spec_from_file_location("whole_request", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def timed(script: ModuleType, out: Path, *options: str) -> dict[str, Any]:
    script.main(
        ["--config", str(HERE / "seva_mvsplat_tiny.toml"), "--scene", str(ROOM), "--device", "cpu",
         "--targets", "indices:3,8", "--set", "steps.cluster=0", "--json", str(out), *options]
    )  # fmt: skip
    return json.loads(out.read_text())


def test_whole_requests_are_timed_in_every_mode(script, tmp_path: Path, capsys) -> None:
    told = timed(script, tmp_path / "times.json")
    assert [row["mode"] for row in told["rows"]] == MODES
    assert all(row["seconds"]["denoise"] > 0 for row in told["rows"])
    assert (told["targets"], told["size"], told["compile"]) == (2, [64, 64], False)
    assert told["host_bytes_peak"] > 0
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines()[2:]] == MODES
    # Starts are those of the paper's table for quality 0.95 and cluster 0, at the drawn ratios.
    drawn = 0.6 + 0.5 * torch.rand(2, generator=torch.Generator().manual_seed(0))
    rows = {(0.43, 0.65): 10, (0.65, 0.78): 15, (0.78, 0.88): 20, (0.88, 0.94): 25,
            (0.94, 0.98): 30, (0.98, 1.0): 35}  # fmt: skip
    starts = [
        next((k for (low, high), k in rows.items() if low <= ratio < high), 50) * 6 // 50
        for ratio in drawn.tolist()
    ]
    latest = 5  # max_start of the tiny pipeline, of 6 steps
    by_mode = {row["mode"]: row["starts"] for row in told["rows"]}
    assert by_mode["fine"] == by_mode["selective"] == [min(k, latest) for k in starts]
    assert by_mode["coarse"] == [min(*starts, latest)] * 2


def test_precision_layout_and_compilation_are_options(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def compile_nothing(function: Any) -> Any:
        def counted(x: torch.Tensor, *rest: Any, **options: Any) -> Any:
            compiled.append(f"{x.dtype} {x.is_contiguous(memory_format=torch.channels_last)}")
            return function(x, *rest, **options)

        return counted

    monkeypatch.setattr(torch, "compile", compile_nothing)
    told = timed(
        script, tmp_path / "times.json", "--compile", "--set", "diffusion.dtype=bfloat16",
        "--set", "diffusion.channels_last=true", "--modes", "selective",
    )  # fmt: skip
    assert told["compile"] is True
    assert [row["mode"] for row in told["rows"]] == ["selective"]
    assert set(compiled) == {"torch.bfloat16 True"}

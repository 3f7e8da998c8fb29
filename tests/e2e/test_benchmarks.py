"""The benchmark of whole requests runs at a tiny size; its figures are not looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sphinx_framework.testing.goldens import goldens_folder

HERE = Path(__file__).parent
ROOM = goldens_folder().parent / "data" / "re10k_room"


@pytest.mark.skipif(not ROOM.exists(), reason=f"the posed scene {ROOM} is not here")
def test_whole_requests_are_timed_in_every_mode(tmp_path: Path) -> None:
    script = HERE.parents[1] / "benchmarks" / "whole_request.py"
    config, out = HERE / "seva_mvsplat_tiny.toml", tmp_path / "times.json"
    command = [
        sys.executable, str(script), "--config", str(config), "--scene", str(ROOM), "--device",
        "cpu", "--targets", "indices:3,8", "--set", "steps.cluster=0", "--json", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert [row["mode"] for row in rows] == ["diffusion", "coarse", "fine", "selective"]
    assert all(row["seconds"]["denoise"] > 0 for row in rows)

"""The benchmarks run at a tiny size and say what they measured; the figures are not looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def printed(script: str, *options: str) -> dict:
    command = [sys.executable, str(FOLDER / script), "--size", "16", "--repeat", "1", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_rasterizing_is_timed_and_its_load_is_told(backend):
    report = printed("rasterize.py", "--targets", "2", "--backend", backend)
    assert report["gaussians"] == 2 * 16 * 16
    assert 0 < report["gaussians_in_view"] <= 2 * report["gaussians"]
    assert report["gaussians_in_view"] <= report["box_pixels"]
    assert 0 < report["milliseconds_least"] <= report["milliseconds_median"]


def test_encoding_is_timed_part_by_part():
    seconds = printed("encode.py")["seconds_median"]
    assert seconds.keys() == {"backbone", "plane_sweep", "encode"}
    assert all(value > 0 for value in seconds.values())

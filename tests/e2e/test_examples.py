"""The examples run as they are: each in an interpreter of its own, as a reader would."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
NEEDS_A_SERVER = "openai_videos"  # run by the tests of the server
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if path.stem != NEEDS_A_SERVER)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs_and_prints(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()

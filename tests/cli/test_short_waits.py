"""Threads that wait shortly: set before torch is there, and never against what is set."""

import os
import subprocess
import sys

import pytest

from sphinx_framework.short_waits import SETTINGS, TURNS, wait_shortly

TOLD = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
RUN = f"from sphinx_framework.cli.main import main; main(['plugins']); {TOLD}"


def told(code: str, **setting: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS} | setting
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()[-1]


def test_the_command_line_sets_it_before_torch_is_loaded() -> None:
    assert told(RUN) == f"{TURNS} None"


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [("GOMP_SPINCOUNT", "7", "7 None"), ("OMP_WAIT_POLICY", "active", "None active")],
)
def test_what_its_user_has_set_is_left(name: str, value: str, left: str) -> None:
    assert told(RUN, **{name: value}) == left


def test_after_torch_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not wait_shortly()
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv(SETTINGS[0], "7")
    assert not wait_shortly()
    monkeypatch.delenv(SETTINGS[0])
    assert wait_shortly()
    assert os.environ[SETTINGS[0]] == TURNS

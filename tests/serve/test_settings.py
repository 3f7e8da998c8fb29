"""Flags and settings of the server say the same."""

import pytest

from sphinx_framework.cli.main import build_parser, main
from sphinx_framework.serve.settings import Settings

OTHERWISE_NAMED = {"page": "no_page", "metrics": "no_metrics", "json_logs": "json"}


def test_every_setting_has_a_flag():
    given = vars(build_parser().parse_args(["serve", "--config", "lite"]))
    missing = [
        name for name in Settings.model_fields if OTHERWISE_NAMED.get(name, name) not in given
    ]
    assert not missing


def test_defaults_are_the_settings_own():
    given = vars(build_parser().parse_args(["serve", "--config", "lite"]))
    stated = {name: given.get(name) for name in Settings.model_fields}
    odd = {name: value for name, value in stated.items() if value not in (None, False)}
    assert not odd, "a default of the command line would hide the one of Settings"


@pytest.mark.parametrize(
    ("memory", "why"),
    [("24 apples", "not an amount of memory"), ("24GB", "cannot be made for the CPU")],
)
def test_the_memory_of_a_worker_is_planned_before_anything_is_loaded(tmp_path, capsys, memory, why):
    asked = ["serve", "--config", "seva-mvsplat", "--device", "cpu", "--port", "0"]
    assert main([*asked, "--data", str(tmp_path / "data"), "--memory", memory]) == 2
    assert why in capsys.readouterr().err

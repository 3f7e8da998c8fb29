"""Flags and settings of the server say the same."""

from sphinx_framework.cli.main import build_parser
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

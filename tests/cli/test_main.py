"""Dispatch and exit codes."""

import shlex

import pytest

from sphinx_framework import __version__
from sphinx_framework.cli import main as cli
from sphinx_framework.cli.examples import EXAMPLES
from sphinx_framework.errors import InputError, JobError, SphinxError
from sphinx_framework.output.saving import saving
from sphinx_framework.request import RenderRequest
from sphinx_framework.scenes.targets import parse_targets

COMMANDS = cli.build_parser()._subparsers._group_actions[0].choices
PROMISED = {"demo", "render", "plan", "plugins", "describe", "check", "configs", "schema", "doctor"}


@pytest.fixture
def failing(command, monkeypatch):
    """Let ``plugins`` raise an error."""

    def install(error):
        from sphinx_framework.cli import plugins

        def fail(arguments):
            raise error

        monkeypatch.setattr(plugins, "plugins", fail)
        return command

    return install


def test_the_version_is_the_packages(command):
    ended = command("--version")
    assert (ended.code, ended.out) == (0, f"sphinx-nvs {__version__}\n")


def test_help_names_every_command(command):
    told = command("--help").told
    for name in PROMISED:
        assert name in COMMANDS
        assert name in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_can_print_json_and_tracebacks(command, name):
    ended = command(name, "--help")
    assert ended.code == 0
    assert "--json" in ended.out
    assert "--debug" in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_shows_two_examples_in_eighty_columns(command, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = command(name, "--help").out
    assert max(map(len, told.splitlines())) <= 80
    shown = told.split("examples:")[1]
    assert shown.count(f"sphinx-nvs {name}") >= 2


@pytest.mark.parametrize("example", [one for name in COMMANDS for one in EXAMPLES[name]])
def test_every_example_is_understood(example):
    words = shlex.split(example.replace("\\\n", " "))
    assert words[0] == "sphinx-nvs"
    asked = cli.build_parser().parse_args(words[1:])
    assert asked.command == words[1]
    if getattr(asked, "targets", None):
        parse_targets(asked.targets)
    if getattr(asked, "save", None):
        saving(asked.save)
    if getattr(asked, "mode", None):
        RenderRequest.asked(mode=asked.mode)


QUICK = ("plugins", "configs", "schema")


@pytest.mark.parametrize("example", [one for name in QUICK for one in EXAMPLES[name]])
def test_examples_that_only_tell_something_run(capsys, example):
    assert cli.main(shlex.split(example)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_leads_to_a_function(name):
    assert callable(cli.function_of(COMMANDS[name].get_default("run")))


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("bad.", hint="Mend."), 2), (JobError("bad.", hint="Mend."), 1)],
)
def test_errors_of_the_framework_are_message_and_hint(failing, error, code):
    ended = failing(error)("plugins")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err == "error: bad.\n       Mend.\n"


def test_an_error_without_a_hint_is_one_line(failing):
    assert failing(SphinxError("bad."))("plugins").err == "error: bad.\n"


def test_an_unexpected_error_is_no_bare_traceback(failing):
    ended = failing(ZeroDivisionError("by zero"))("plugins")
    assert (ended.code, ended.out) == (1, "")
    assert "error: ZeroDivisionError: by zero" in ended.err
    assert "--debug" in ended.err
    assert "Traceback" not in ended.err


def test_debug_shows_the_traceback_of_an_unexpected_error(failing):
    ended = failing(ZeroDivisionError("by zero"))("plugins", "--debug")
    assert ended.code == 1
    assert "Traceback" in ended.err


def test_an_interrupted_command_stops_quietly(failing):
    ended = failing(KeyboardInterrupt())("plugins")
    assert (ended.code, ended.err) == (130, "stopped.\n")


def test_a_near_miss_of_a_command_lists_the_commands(command):
    ended = command("rendr")
    assert ended.code == 2
    assert "render" in ended.err

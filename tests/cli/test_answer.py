"""With ``--json`` stdout holds one object, whatever plugins print and whenever they do."""

import json

from commands import FAKES

from sphinx_framework.cli.main import build_parser
from sphinx_framework.plugin import OWN_COMMANDS

LOUD = """
import os, subprocess, sys
print("from python")
sys.__stdout__.write("from the kept stream\\n")
os.write(1, b"from the descriptor\\n")
subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
"""
COMMAND = """
from sphinx_framework.plugin import CommandSpec, hookimpl

@hookimpl
def sphinx_framework_commands():
    return [
        CommandSpec(name="greet", run=f"{__name__}:greet", summary="say hello",
                    arguments=f"{__name__}:arguments"),
        CommandSpec(name="render", run=f"{__name__}:greet", summary="not replaced"),
        CommandSpec(name="lost", run="no_such_module:x", summary="cannot be loaded"),
    ]

def arguments(parser):
    parser.add_argument("--name", default="you")

def greet(arguments):
    print(f"hello {arguments.name}")
"""


def test_what_a_plugin_prints_at_import_stays_out_of_the_answer(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,loud")
    command.plugins.install("loud", LOUD + FAKES.replace("fake_specs()", "[]"))
    ended = command.apart("plugins", "--json")
    assert {plugin["name"] for plugin in json.loads(ended.out)["plugins"]} >= {"fakes", "loud"}
    for source in ("python", "the kept stream", "the descriptor", "a child"):
        assert f"from {source}" in ended.err


def test_what_a_component_prints_while_it_works_stays_out_of_the_answer(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "loud")
    (command.plugins.path / "loud_mask.py").write_text(
        "from sphinx_framework.testing.fakes import FakeMask\n"
        "class Loud(FakeMask):\n"
        "    def mask(self, *given):\n"
        "        print('masking')\n"
        "        return super().mask(*given)\n"
    )
    source = FAKES.replace(
        "return fake_specs()",
        "from dataclasses import replace\n"
        "    return [replace(s, factory='loud_mask:Loud') if s.kind == 'mask' else s\n"
        "            for s in fake_specs()]",
    )
    command.plugins.install("loud", source)
    ended = command.render("--json")
    assert json.loads(ended.out)["report"]["frames"]
    assert "masking" in ended.err


def test_plugins_add_commands_and_replace_none(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,polite")
    command.plugins.install("polite", COMMAND)
    assert command("greet", "--name", "world").out == "hello world\n"
    assert command("greet", "--help").code == 0
    assert command.render().code == 0
    listed = command("plugins").told
    assert "command greet: say hello" in listed
    assert "command 'render' is offered by sphinx-framework already" in listed
    assert "not replaced" not in listed
    lost = command("lost")
    assert lost.code == 2
    assert "'no_such_module:x' failed to load: ModuleNotFoundError" in lost.err
    assert "Traceback" not in lost.err


def test_every_command_of_the_framework_is_one_that_no_plugin_may_take():
    """The list lies beside the specs, which import no command line."""
    (commands,) = [a for a in build_parser()._actions if a.dest == "command"]
    assert set(commands.choices) == OWN_COMMANDS


def test_an_unknown_command_is_still_refused(command):
    ended = command("gret")
    assert ended.code == 2
    assert "invalid choice: 'gret'" in ended.err


def test_a_command_whose_code_fails_harms_no_other_and_is_told_with_its_plugin(
    command, monkeypatch
):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,rude")
    source = COMMAND.replace(
        'CommandSpec(name="lost", run="no_such_module:x", summary="cannot be loaded"),',
        'CommandSpec(name="clash", run=f"{__name__}:greet", summary="-",'
        ' arguments=f"{__name__}:clash"),\n'
        '        CommandSpec(name="fails", run=f"{__name__}:fails", summary="-"),',
    )
    source += "\ndef clash(parser):\n    parser.add_argument('--json')\n"
    source += "\ndef fails(arguments):\n    raise ZeroDivisionError('of the plugin')\n"
    command.plugins.install("rude", source)
    assert command("greet").out == "hello you\n"
    clash = command("clash")
    assert clash.code == 2
    assert "of sphinx-framework-rude 1.2 could not declare its arguments" in clash.told
    fails = command("fails")
    assert fails.code == 1
    assert "of sphinx-framework-rude 1.2 raised ZeroDivisionError: of the plugin" in fails.told
    assert "This is a bug" not in fails.told

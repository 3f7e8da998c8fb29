"""A broken plugin is listed with its reason and never breaks the others."""

from dataclasses import replace

import pytest

from sphinx_framework.errors import BrokenPluginError
from sphinx_framework.registry import NoOptions, Registry

BROKEN = {
    "raises at import": ("raise ValueError('no such driver')", "ValueError: no such driver"),
    "exits at import": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "is no python": ("def broken(:\n", "SyntaxError"),
    "misses a dependency": ("import no_such_package", "ModuleNotFoundError"),
    "offers nothing": ("x = 1", "implements no hook"),
    "forgets the marker": (
        "def sphinx_framework_components():\n    return []",
        "marked with @hookimpl",
    ),
    "returns a spec without a name": (
        """
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name=None, factory="a:b")]
        """,
        "holds something else than it should",
    ),
    "raises in the hook": (
        """
        from sphinx_framework.plugin import hookimpl

        @hookimpl
        def sphinx_framework_components():
            raise OSError("cannot ask")
        """,
        "OSError: cannot ask",
    ),
    "returns nothing": (
        """
        from sphinx_framework.plugin import hookimpl

        @hookimpl
        def sphinx_framework_components():
            return None
        """,
        "TypeError",
    ),
    "returns strings": (
        """
        from sphinx_framework.plugin import hookimpl

        @hookimpl
        def sphinx_framework_components():
            return ["a component"]
        """,
        "no component spec: 'a component'",
    ),
    "returns an unknown kind": (
        """
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="regresion", name="x", factory="a:b")]
        """,
        "its component 'x' is of kind 'regresion'. Did you mean 'regression'? Kinds: ",
    ),
    "asks for unknown arguments": (
        """
        from sphinx_framework.plugin import hookimpl

        @hookimpl
        def sphinx_framework_components(everything):
            return []
        """,
        "PluginValidationError",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_listed_and_the_others_work(plugin_folder, how):
    source, reason = BROKEN[how]
    plugin_folder.offer("alpha", ("mask", "first"))
    plugin_folder.install("middle", source)
    plugin_folder.offer("omega", ("mask", "last"))

    registry = Registry.from_entry_points(plugin_folder.points())

    assert registry.names("mask") == ["first", "last"]
    (broken,) = [plugin for plugin in registry.plugins if plugin.status != "ok"]
    assert (broken.name, broken.status) == ("middle", "broken")
    assert broken.distribution == "sphinx-framework-middle"
    assert reason in broken.reason


def test_the_traceback_of_a_broken_plugin_is_kept_for_those_who_ask(plugin_folder):
    plugin_folder.install("bad", "raise ValueError('no such driver')")
    (broken,) = Registry.from_entry_points(plugin_folder.points()).plugins
    assert "Traceback" in broken.details
    assert "no such driver" in broken.details


def test_asking_for_a_broken_plugin_by_name_tells_its_reason(plugin_folder):
    plugin_folder.install("seva", "raise ValueError('no such driver')")
    with pytest.raises(BrokenPluginError, match=r"which is broken: ValueError: no such driver"):
        Registry.from_entry_points(plugin_folder.points()).find("diffusion", "seva")


def test_what_a_plugin_prints_while_it_loads_stays_out_of_stdout(plugin_folder, capsys):
    plugin_folder.install("loud", "print('hello from import')\nraise ValueError('no')")
    Registry.from_entry_points(plugin_folder.points())
    told = capsys.readouterr()
    assert told.out == ""
    assert "hello from import" in told.err


def test_the_user_can_still_interrupt(plugin_folder):
    plugin_folder.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Registry.from_entry_points(plugin_folder.points())


def test_a_plugin_of_another_api_is_refused(plugin_folder):
    plugin_folder.install(
        "future",
        """
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name="m", factory="a:b", api=99)]
        """,
    )
    registry = Registry.from_entry_points(plugin_folder.points())
    assert registry.plugins[0].status == "api mismatch"
    with pytest.raises(BrokenPluginError, match="another API"):
        registry.find("mask", "m")


def test_two_distributions_that_chose_one_plugin_name_are_both_used(plugin_folder):
    plugin_folder.offer("same", ("mask", "one"), distribution="sphinx-framework-a")
    plugin_folder.offer("same", ("mask", "two"), ("mask", "one"), distribution="sphinx-framework-b")
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [(p.distribution, p.status) for p in registry.plugins] == [
        ("sphinx-framework-a", "ok"),
        ("sphinx-framework-b", "ok"),
    ]
    assert registry.names("mask") == ["one", "two"]
    owner = registry.distribution_of(registry.find("mask", "one"))
    assert owner == "sphinx-framework-a 1.2"
    (refused,) = registry.plugins[1].refused
    assert refused.reason == "mask 'one' is offered by sphinx-framework-a already"


def test_a_command_that_another_plugin_has_is_refused_alone_and_told(plugin_folder):
    source = """
        from sphinx_framework.plugin import CommandSpec, ComponentSpec, hookimpl

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name="{name}", factory="a:b")]

        @hookimpl
        def sphinx_framework_commands():
            return [CommandSpec(name="greet", run="a:b", summary="hello")]
        """
    plugin_folder.install("one", source.format(name="one"))
    plugin_folder.install("two", source.format(name="two"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [c.name for c in registry.commands] == ["greet"]
    assert registry.names("mask") == ["one", "two"]
    (refused,) = registry.plugins[1].refused
    assert refused.reason == "command 'greet' is offered by sphinx-framework-one already"


def test_of_two_components_with_one_name_only_that_one_of_the_newcomer_is_refused(plugin_folder):
    plugin_folder.offer("one", ("mask", "same"), ("quality", "mine"))
    plugin_folder.offer("two", ("mask", "same"), ("quality", "other"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.status for p in registry.plugins] == ["ok", "ok"]
    (refused,) = registry.plugins[1].refused
    assert refused.spec.name == "same"
    assert refused.reason == "mask 'same' is offered by sphinx-framework-one already"
    assert registry.names("quality") == ["mine", "other"]
    found = registry.find("mask", "same")
    assert registry.distribution_of(found) == "sphinx-framework-one 1.2"


def test_a_plugin_of_which_nothing_is_left_is_a_duplicate_and_observes_nothing(plugin_folder):
    plugin_folder.offer("one", ("mask", "same"))
    plugin_folder.offer("two", ("mask", "same"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.status for p in registry.plugins] == ["ok", "duplicate"]
    assert "is offered by sphinx-framework-one already" in registry.plugins[1].reason


def test_a_name_of_this_project_is_kept_whatever_a_newcomer_is_called(plugin_folder):
    plugin_folder.offer("aaa", ("mask", "opacity-blur"), ("mask", "own"))
    plugin_folder.offer("masks", ("mask", "opacity-blur"), distribution="sphinx-framework-masks")
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.name for p in registry.plugins] == ["aaa", "masks"]
    owner = registry.distribution_of(registry.find("mask", "opacity-blur"))
    assert owner == "sphinx-framework-masks 1.2"
    assert registry.names("mask") == ["opacity-blur", "own"]


def test_a_plugin_that_offers_a_name_twice_keeps_the_first(plugin_folder):
    plugin_folder.offer("one", ("mask", "same"), ("mask", "same"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert registry.names("mask") == ["same"]
    assert len(registry.plugins[0].refused) == 1


# Hangs, and turns the clock on to the end of its time: nobody else's import is short of time.
HANGS = """
import signal, time
assert 400 < signal.getitimer(signal.ITIMER_REAL)[0] <= 5000
signal.setitimer(signal.ITIMER_REAL, 0.01, 1.0)
time.sleep(600)
"""
TOLD = """
while any(isinstance(thread, threading.Timer) for thread in threading.enumerate()):
    pass  # until the user was told
"""


def test_a_plugin_that_hangs_at_import_is_named_and_the_others_work(
    plugin_folder, monkeypatch, capfd
):
    monkeypatch.setenv("SPHINX_FRAMEWORK_IMPORT_SECONDS", "500")
    monkeypatch.setattr("sphinx_framework.registry.import_watch.SPEAK_SECONDS", 0.1)
    plugin_folder.offer("alpha", ("mask", "first"))
    plugin_folder.install("hangs", "import threading\n" + TOLD + HANGS)
    plugin_folder.offer("omega", ("mask", "last"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert registry.names("mask") == ["first", "last"]
    reason = registry.plugins[1].reason
    assert "'hangs' (sphinx-framework-hangs 1.2) did not finish importing within 500 s" in reason
    told = capfd.readouterr().err
    assert "still importing plugin 'hangs'" in told
    assert "To leave it out: SPHINX_FRAMEWORK_PLUGINS=-hangs." in told


def test_a_plugin_that_swallows_every_error_and_hangs_is_interrupted_again(
    plugin_folder, monkeypatch
):
    monkeypatch.setenv("SPHINX_FRAMEWORK_IMPORT_SECONDS", "0.2")
    monkeypatch.setattr("sphinx_framework.registry.import_watch._AGAIN_SECONDS", 0.2)
    plugin_folder.install(
        "stubborn",
        """
        import time

        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)
        """,
    )
    (stubborn,) = Registry.from_entry_points(plugin_folder.points()).plugins
    assert "did not finish importing" in stubborn.reason


def test_a_component_whose_module_hangs_is_named(plugin_folder, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_IMPORT_SECONDS", "500")
    module = plugin_folder.offer("late", ("mask", "late"))
    registry = Registry.from_entry_points(plugin_folder.points())
    (plugin_folder.path / "late_network.py").write_text(HANGS)
    spec = replace(registry.find("mask", "late"), factory="late_network:Mask")
    assert module
    with pytest.raises(BrokenPluginError, match="failed to load: ImportHangsError"):
        Registry.from_specs([spec]).build("mask", "late", NoOptions(), "cpu")


def test_plugins_can_be_left_out_by_name(plugin_folder, monkeypatch):
    plugin_folder.offer("one", ("mask", "round"))
    plugin_folder.install("two", "raise RuntimeError('must not be imported')")
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "-two")
    registry = Registry.from_entry_points(plugin_folder.points())
    assert registry.names("mask") == ["round"]
    assert registry.plugins[1].reason == "left out by $SPHINX_FRAMEWORK_PLUGINS"


def test_one_name_for_components_of_two_kinds_is_fine(plugin_folder):
    plugin_folder.offer("one", ("mask", "same"))
    plugin_folder.offer("two", ("quality", "same"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.status for p in registry.plugins] == ["ok", "ok"]

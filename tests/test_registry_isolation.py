"""A broken plugin is listed with its reason and never breaks the others."""

import pytest

from sphinx_framework.errors import BrokenPluginError, UnknownComponentError
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_config

BROKEN = {
    "raises at import": ("raise ValueError('no such driver')", "ValueError: no such driver"),
    "exits at import": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "is no python": ("def broken(:\n", "SyntaxError"),
    "misses a dependency": ("import no_such_package", "ModuleNotFoundError"),
    "offers nothing": ("x = 1", "implements no sphinx_framework_components"),
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
            return [ComponentSpec(kind="weather", name="x", factory="a:b")]
        """,
        "no component spec",
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


def test_of_two_plugins_with_one_name_the_second_is_refused_and_both_are_listed(plugin_folder):
    plugin_folder.offer("same", ("mask", "one"), distribution="sphinx-framework-a")
    plugin_folder.offer("same", ("mask", "two"), distribution="sphinx-framework-b")
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [(p.distribution, p.status) for p in registry.plugins] == [
        ("sphinx-framework-a", "ok"),
        ("sphinx-framework-b", "duplicate"),
    ]
    assert registry.plugins[1].reason == "plugin name 'same' is taken by sphinx-framework-a"
    assert registry.names("mask") == ["one"]


def test_of_two_components_with_one_name_the_second_plugin_is_refused(plugin_folder):
    plugin_folder.offer("one", ("mask", "same"), ("quality", "mine"))
    plugin_folder.offer("two", ("mask", "same"), ("quality", "other"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.status for p in registry.plugins] == ["ok", "duplicate"]
    assert "mask 'same' is offered by sphinx-framework-one already" in registry.plugins[1].reason
    assert registry.names("quality") == ["mine"]
    with pytest.raises(BrokenPluginError, match="duplicate"):
        registry.find("quality", "other")


def test_one_name_for_components_of_two_kinds_is_fine(plugin_folder):
    plugin_folder.offer("one", ("mask", "same"))
    plugin_folder.offer("two", ("quality", "same"))
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.status for p in registry.plugins] == ["ok", "ok"]


def test_a_pipeline_is_told_that_its_component_has_two_owners(plugin_folder):
    plugin_folder.offer("one", ("mask", "other"))
    plugin_folder.offer("two", ("mask", "other"), ("mask", "fake"))
    registry = Registry.from_entry_points(plugin_folder.points())
    config = fake_config()
    with pytest.raises((BrokenPluginError, UnknownComponentError)):
        config.validate_options(registry, "fake")


OBSERVER = """
from sphinx_framework.plugin import hookimpl
from sphinx_framework.testing.pipeline import fake_specs

seen = []

@hookimpl
def sphinx_framework_components():
    return fake_specs()

@hookimpl
def sphinx_framework_observe(event):
    seen.append(event)
"""


def observed(plugin_folder):
    from sphinx_framework.engine.engine import Engine

    registry = Registry.from_entry_points(plugin_folder.points())
    engine = Engine.from_config(fake_config(), device="cpu", registry=registry)
    return list(engine.stream(fake_scene(), mode="fine"))


def test_observers_receive_every_event_of_a_request(plugin_folder):
    import importlib

    module = plugin_folder.install("watcher", OBSERVER)
    events = observed(plugin_folder)
    seen = importlib.import_module(module).seen
    assert len(seen) == len(events)
    assert all(first is second for first, second in zip(seen, events, strict=True))


def test_an_observer_that_raises_does_not_end_the_request(plugin_folder):
    plugin_folder.install(
        "watcher", OBSERVER.replace("seen.append(event)", "raise OSError('full')")
    )
    assert type(observed(plugin_folder)[-1]).__name__ == "Finished"


def test_a_refused_plugin_does_not_observe(plugin_folder):
    import importlib

    plugin_folder.install("alpha", OBSERVER)
    refused = plugin_folder.install("beta", OBSERVER)
    observed(plugin_folder)
    assert importlib.import_module(refused).seen == []

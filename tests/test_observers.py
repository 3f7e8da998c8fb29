"""Observers of plugins: pluggy calls them with every event, and none of them harms a request."""

import pytest
import torch

from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_config

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
    assert list(map(type, seen)) == list(map(type, events))
    assert torch.equal(seen[-1].result.images, events[-1].result.images)


def test_a_plugin_that_only_observes_takes_part(plugin_folder):
    import importlib

    declared = "@hookimpl\ndef sphinx_framework_components():\n    return fake_specs()\n"
    plugin_folder.install("maker", OBSERVER)
    module = plugin_folder.install("watcher", OBSERVER.replace(declared, ""))
    events = observed(plugin_folder)
    assert list(map(type, importlib.import_module(module).seen)) == list(map(type, events))


def test_what_an_observer_writes_into_an_event_reaches_nobody_else(plugin_folder):
    writing = "getattr(event, 'coarse', None) and event.coarse.images.zero_()\n"
    writing += "    getattr(event, 'result', None) and event.result.images.zero_()"
    plugin_folder.install("watcher", OBSERVER.replace("seen.append(event)", writing))
    events = observed(plugin_folder)
    assert events[-1].result.images.any()
    assert events[-1].result.coarse.images.any()


def test_an_observer_that_raises_does_not_end_the_request(plugin_folder):
    plugin_folder.install(
        "watcher", OBSERVER.replace("seen.append(event)", "raise OSError('full')")
    )
    assert type(observed(plugin_folder)[-1]).__name__ == "Finished"


HANGING = OBSERVER.replace(
    "seen.append(event)",
    "seen.append(event)\n    assert len(seen) > 1 or told.wait(60)",
).replace("seen = []", "import threading\nseen, told = [], threading.Event()")


def test_an_observer_that_does_not_return_is_named(plugin_folder, monkeypatch):
    import importlib

    from sphinx_framework.registry import hooks

    module = plugin_folder.install("watcher", HANGING)
    said = []

    def tell(plugin, what):
        said.append((plugin, what))
        importlib.import_module(module).told.set()

    monkeypatch.setattr(hooks, "_tell", tell)
    monkeypatch.setattr(hooks, "SPEAK_SECONDS", 0.01)
    assert type(observed(plugin_folder)[-1]).__name__ == "Finished"
    assert said[0] == ("watcher", "still runs, and the request waits")


def test_a_refused_plugin_does_not_observe(plugin_folder):
    import importlib

    plugin_folder.install("alpha", OBSERVER)
    refused = plugin_folder.install("beta", OBSERVER)
    observed(plugin_folder)
    assert importlib.import_module(refused).seen == []


WRAPPER = """
from sphinx_framework.plugin import hookimpl

heard = []

@hookimpl
def sphinx_framework_components():
    return []

@hookimpl(wrapper=True)
def sphinx_framework_observe(event):
    heard.append("before")
    result = yield
    heard.append("after")
    return result
"""
PLAIN = """
from sphinx_framework.plugin import hookimpl
from temporary_sphinx_framework_around import heard

@hookimpl
def sphinx_framework_components():
    return []

@hookimpl
def sphinx_framework_observe():
    heard.append("plain")
"""


def test_pluggy_calls_the_observers_so_that_wrappers_go_around_all_others(plugin_folder):
    import importlib

    module = plugin_folder.install("around", WRAPPER)
    plugin_folder.install("plain", PLAIN)
    registry = Registry.from_entry_points(plugin_folder.points())
    assert [p.reason for p in registry.plugins] == ["", ""]
    registry.observe("event")
    assert importlib.import_module(module).heard == ["before", "plain", "after"]


@pytest.mark.parametrize("broken", ["before", "after"])
def test_a_wrapper_that_raises_keeps_the_event_from_nobody(plugin_folder, broken):
    import importlib

    failing = WRAPPER.replace(f'heard.append("{broken}")', "raise SystemExit(3)")
    module = plugin_folder.install("around", failing)
    plugin_folder.install("plain", PLAIN)
    Registry.from_entry_points(plugin_folder.points()).observe("event")
    assert "plain" in importlib.import_module(module).heard

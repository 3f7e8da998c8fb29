"""The hooks of plugins, called by pluggy: each plugin alone for what it declares, all to observe.

A plugin's answer about itself must not depend on others, so declarations are asked of one plugin
at a time. Observers are called together, wrappers around them; one that raises is only logged, and
one that does not return is named.
"""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pluggy

import sphinx_framework.plugin as hookspecs
from sphinx_framework.plugin import PROJECT, hookimpl

SPEAK_SECONDS = 5.0


class Hooks:
    """The plugins that take part, and their hooks."""

    def __init__(self) -> None:
        self._plugins = _manager()
        self._observers = _manager()

    def register(self, plugin: Any, name: str) -> None:
        """Take a plugin in; raises what pluggy finds wrong with its hooks."""
        self._plugins.register(plugin, name=name)
        self._plugins.check_pending()
        for observer in self._plugins.hook.sphinx_framework_observe.get_hookimpls():
            if observer.plugin_name == name:
                self._observers.register(_guard(observer), name=name)

    def unregister(self, name: str) -> None:
        """Leave a plugin out again, its observer too; unknown names are ignored."""
        for manager in (self._plugins, self._observers):
            if manager.get_plugin(name) is not None:
                manager.unregister(name=name)

    def observes(self, name: str) -> bool:
        """Whether a plugin watches events."""
        return self._observers.get_plugin(name) is not None

    @property
    def observed(self) -> bool:
        """Whether any plugin watches events."""
        return bool(self._observers.list_name_plugin())

    def answers(self, hook: str, name: str) -> list[Any] | None:
        """What one plugin answers to a declaring hook; ``None`` when it does not implement it."""
        others = [p for n, p in self._plugins.list_name_plugin() if n != name and p is not None]
        caller = self._plugins.subset_hook_caller(hook, remove_plugins=others)
        if not caller.get_hookimpls():
            return None
        answers = caller()
        if not answers:  # pluggy leaves None out
            raise TypeError(f"{hook}() returned None instead of a list")
        return [entry for answer in answers for entry in answer]

    def observe(self, event: Any) -> None:
        """Hand an event to every plugin that observes."""
        self._observers.hook.sphinx_framework_observe(event=event)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _guard(observer: pluggy.HookImpl) -> Any:
    """A plugin that observes in place of another and whose errors end nobody's request."""
    name, given = observer.plugin_name, len(observer.argnames)

    def observe(event: Any) -> None:
        with _watched(name):
            observer.function(*[event][:given])

    def around(event: Any) -> Generator[None, object, object]:
        inner: Any = observer.function(*[event][:given])
        begun = False
        with _watched(name):
            next(inner)
            begun = True
        result = yield
        if not begun:
            return result
        with _watched(name):
            try:
                inner.send(result)
            except StopIteration as end:
                return end.value
        inner.close()
        return result

    wraps = observer.wrapper or observer.hookwrapper
    marked = hookimpl(
        wrapper=observer.wrapper,
        hookwrapper=observer.hookwrapper,
        tryfirst=observer.tryfirst,
        trylast=observer.trylast,
    )
    return SimpleNamespace(sphinx_framework_observe=marked(around if wraps else observe))


@contextmanager
def _watched(plugin: str) -> Iterator[None]:
    """What an observer raises is told and goes no further; so is that it does not return."""
    teller = threading.Timer(SPEAK_SECONDS, _tell, (plugin, "still runs, and the request waits"))
    teller.daemon = True
    teller.start()
    try:
        yield
    except (Exception, SystemExit) as error:
        _tell(plugin, repr(error))
    finally:
        teller.cancel()


def _tell(plugin: str, what: str) -> None:
    from sphinx_framework.logs import get_logger

    get_logger("registry").warning("observer failed", plugin=plugin, error=what)

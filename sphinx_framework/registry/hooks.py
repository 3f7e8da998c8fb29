"""The hooks of plugins, called by pluggy: each plugin alone for what it declares, all to observe.

A plugin's answer about itself must not depend on others, so declarations are asked of one plugin
at a time. Observers are called together, wrappers around them; one that raises is only logged.
"""

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pluggy

import sphinx_framework.plugin as hookspecs
from sphinx_framework.plugin import PROJECT, hookimpl


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
        try:
            observer.function(*[event][:given])
        except (Exception, SystemExit) as error:
            _tell(name, error)

    def around(event: Any) -> Generator[None, object, object]:
        inner: Any = observer.function(*[event][:given])
        try:
            next(inner)
        except (Exception, SystemExit) as error:
            _tell(name, error)
            return (yield)
        result = yield
        try:
            inner.send(result)
        except StopIteration as end:
            return end.value
        except (Exception, SystemExit) as error:
            _tell(name, error)
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


def _tell(plugin: str, error: BaseException) -> None:
    from sphinx_framework.logs import get_logger

    get_logger("registry").warning("observer failed", plugin=plugin, error=repr(error))

"""Every call of a component under test, whatever a check is about: what it may not touch."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

from torch import Tensor

# Methods of the roles, and how many of their arguments are the caller's (the condition of a
# prediction is the model's own).
ASKED: dict[str, int | None] = {
    "predict": None,
    "score": None,
    "lost": None,
    "mask": None,
    "start_steps": None,
    "embed": None,
    "estimate_poses": None,
    "can_read": None,
    "read": None,
    "capture": None,
    "layouts": None,
    "encode": None,
    "decode": None,
    "finish": None,
    "sampler": None,
    "condition": None,
    "denoise": 1,
    "denoise_guided": 1,
    "denoise_many": 1,
}
Watch = Callable[..., AbstractContextManager[None]]


def guarded(component: Any, watch: Watch) -> Any:
    """The component itself, whose methods are called within ``watch(**tensors handed over)``.

    Only in the main thread: what belongs to the process has many hands in others. A component
    that takes no attributes is left as it is.
    """
    for name, own in ASKED.items():
        method = getattr(component, name, None)
        if callable(method):
            original = getattr(method, "unguarded", method)
            try:
                setattr(component, name, _watched(name, original, own, watch))
            except (AttributeError, TypeError):  # slots, a frozen class
                return component
    return component


def _watched(
    name: str, method: Callable[..., Any], own: int | None, watch: Watch
) -> Callable[..., Any]:
    @wraps(method)
    def asked(*given: Any, **named: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return method(*given, **named)
        handed: dict[str, Any] = {f"argument {i}": one for i, one in enumerate(given[:own], 1)}
        handed |= {f"argument {key}": one for key, one in named.items() if own is None}
        with watch(
            **{
                f"{place} of {name}()": tensor
                for argument, value in handed.items()
                for place, tensor in _tensors(value, argument)
            }
        ):
            return method(*given, **named)

    asked.unguarded = method  # type: ignore[attr-defined]
    return asked


def _tensors(value: Any, where: str) -> Iterator[tuple[str, Tensor]]:
    """Everything of ours that holds numbers, and what it is called."""
    if isinstance(value, Tensor):
        yield where, value
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _tensors(inner, f"{where}[{index}]")
    elif is_dataclass(value) and type(value).__module__.startswith("sphinx_framework"):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name), f"{where}.{field.name}")

"""Only the component at work lies on the device; the networks of the others wait on the host.

A component's networks are the modules that it holds. They are found anew at every call, so that a
plugin need not know of any of this.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from inspect import ismethod
from threading import RLock
from types import FunctionType
from typing import Any

import torch
from torch import nn

from sphinx_framework.engine.components import Components

HOST = torch.device("cpu")
# What a component is asked for that runs none of its networks; any other method may run one.
QUIET = ("layouts", "sampler", "scene_memory")
DEPTH = 3  # a model holds a wrapper, which holds a record of networks, which holds networks


class Residence:
    """Moves networks between a device and the host, one component at a time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.moves = 0
        self.lock = RLock()
        self._at_work: Any = None

    def enter(self, component: Any) -> None:
        """Bring a component's networks to the device, after the last one's have left."""
        if component is self._at_work:
            return
        if self._at_work is not None:
            self._move(self._at_work, HOST)
        self._move(component, self.device)
        self._at_work = component

    def leave(self, component: Any) -> None:
        """Send a component's networks to the host."""
        self._move(component, HOST)
        self._at_work = None if component is self._at_work else self._at_work

    def _move(self, component: Any, device: torch.device) -> None:
        for network in networks_of(component):
            network.to(device)
            self.moves += 1


class Guest:
    """A component whose networks come to the device when it is called."""

    def __init__(self, inner: Any, residence: Residence) -> None:
        self._inner, self._residence = inner, residence

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in QUIET or name.startswith("_") or not ismethod(found):
            return found

        @wraps(found)  # parameters say what a component asks for
        def called(*arguments: Any, **options: Any) -> Any:
            with self._residence.lock:
                self._residence.enter(self._inner)
                return found(*arguments, **options)

        return called


def offloaded(components: Components, device: torch.device) -> Components:
    """The same components, of which one at a time is on the device."""
    residence = Residence(device)
    guests: dict[int, Any] = {}

    def guest(inner: Any) -> Any:
        if inner is None or not any(networks_of(inner)):
            return inner
        if id(inner) not in guests:
            residence.leave(inner)
            guests[id(inner)] = Guest(inner, residence)
        return guests[id(inner)]

    return replace(
        components,
        **{
            role: guest(getattr(components, role))
            for role in ("regression", "diffusion", "quality", "mask", "steps", "embedder")
        },
    )


def networks_of(component: Any, depth: int = DEPTH) -> Iterator[nn.Module]:
    """The modules that a component holds, each once."""
    seen: set[int] = set()
    for network in _found(component, depth):
        if id(network) not in seen:
            seen.add(id(network))
            yield network


def _found(holder: Any, depth: int) -> Iterator[nn.Module]:
    if isinstance(holder, nn.Module):
        yield holder
        return
    if depth == 0:
        return
    for held in _held(holder):
        yield from _found(held, depth - 1)


def _held(holder: Any) -> list[Any]:
    if isinstance(holder, dict):
        return list(holder.values())
    if isinstance(holder, list | tuple):
        return list(holder)
    if is_dataclass(holder) and not isinstance(holder, type):
        return [getattr(holder, field.name) for field in fields(holder)]
    if isinstance(holder, FunctionType):  # a network may be held by a function around it
        return [cell.cell_contents for cell in holder.__closure__ or ()]
    return list(vars(holder).values()) if hasattr(holder, "__dict__") else []

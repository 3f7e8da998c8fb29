"""Torch's settings for whoever runs next in this thread or process: put back, and told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch

from sphinx_framework.witness.precision import Precision

DEVICE_TYPES = ("cpu", "cuda")
Autocast = tuple[tuple[str, bool, torch.dtype], ...]


def autocast_now() -> Autocast:
    """Of every type of device: whether this thread casts by itself, and to what."""
    return tuple(
        (kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind))
        for kind in DEVICE_TYPES
    )


def _set_autocast(states: Autocast) -> None:
    for kind, enabled, dtype in states:
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


def _set_benchmark(on: bool) -> None:
    torch.backends.cudnn.benchmark = on


@dataclass(frozen=True, slots=True)
class Settings:
    """What a component has no business to change: three of a thread, the others of the process.

    benchmark: of cuDNN, whether it tries kernels out.
    """

    grad: bool
    device: torch.device
    autocast: Autocast
    default: torch.dtype
    threads: int
    deterministic: bool
    precision: Precision
    benchmark: bool

    @classmethod
    def now(cls) -> Self:
        """The settings as they are."""
        return cls(
            torch.is_grad_enabled(),
            torch.get_default_device(),
            autocast_now(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            Precision.now(),
            torch.backends.cudnn.benchmark,
        )

    def restored(self, *, of_thread_only: bool = False) -> str:
        """Put them back; returns what was changed, in words, or nothing.

        of_thread_only: others run beside, who may have changed what belongs to the process.
        """
        now = type(self).now()
        if now == self:
            return ""
        known: list[tuple[str, str, Callable[[Any], Any]]] = [
            ("grad", "recording of gradients", torch.set_grad_enabled),
            ("device", "default device", torch.set_default_device),
            ("autocast", "autocast", _set_autocast),
        ]
        if not of_thread_only:
            known += [
                ("default", "default type", torch.set_default_dtype),
                ("threads", "number of threads", torch.set_num_threads),
                ("deterministic", "deterministic mode", torch.use_deterministic_algorithms),
                ("precision", "precision of products", Precision.put_back),
                ("benchmark", "cuDNN benchmark", _set_benchmark),
            ]
        told = []
        for name, words, put in known:
            before, came = getattr(self, name), getattr(now, name)
            if before != came:
                put(before)
                told.append(f"torch's {words} set to {_in_words(came)}")
        return " and ".join(told)


def _in_words(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(f"{kind} {'on' if on else 'off'} ({dtype})" for kind, on, dtype in value)

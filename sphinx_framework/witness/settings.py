"""Torch's settings for whoever runs next in this thread or process: put back, and told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch

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


def _set_tuning(states: tuple[bool, bool]) -> None:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = states


@dataclass(frozen=True, slots=True)
class Settings:
    """What a component has no business to change.

    tuning: of cuDNN, whether it tries kernels out, and whether it may use TF32.
    """

    default: torch.dtype
    threads: int
    grad: bool
    deterministic: bool
    precision: str
    device: torch.device
    autocast: Autocast
    tuning: tuple[bool, bool]

    @classmethod
    def now(cls) -> Self:
        """The settings as they are."""
        return cls(
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            torch.get_default_device(),
            autocast_now(),
            (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32),
        )

    def restored(self) -> str:
        """Put them back; returns what was changed, in words, or nothing."""
        now = type(self).now()
        if now == self:
            return ""
        known: list[tuple[str, str, Callable[[Any], Any]]] = [
            ("default", "default type", torch.set_default_dtype),
            ("threads", "number of threads", torch.set_num_threads),
            ("grad", "recording of gradients", torch.set_grad_enabled),
            ("deterministic", "deterministic mode", torch.use_deterministic_algorithms),
            ("precision", "precision of products", torch.set_float32_matmul_precision),
            ("device", "default device", torch.set_default_device),
            ("autocast", "autocast", _set_autocast),
            ("tuning", "cuDNN benchmark and TF32", _set_tuning),
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
    if isinstance(value[0], tuple):
        return ", ".join(f"{kind} {'on' if on else 'off'} ({dtype})" for kind, on, dtype in value)
    return " and ".join(str(entry) for entry in value)

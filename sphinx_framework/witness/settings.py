"""Torch's settings for whoever runs next in this thread or process: put back, and told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch


@dataclass(frozen=True, slots=True)
class Settings:
    """What a component has no business to change."""

    default: torch.dtype
    threads: int
    grad: bool
    deterministic: bool
    precision: str
    device: torch.device

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
        ]
        told = []
        for name, words, put in known:
            before, came = getattr(self, name), getattr(now, name)
            if before != came:
                put(before)
                told.append(f"torch's {words} set to {came}")
        return " and ".join(told)

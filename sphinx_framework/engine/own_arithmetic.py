"""A request computes in its own types, whatever its host has switched on around the call."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from sphinx_framework.errors import ConfigError
from sphinx_framework.types.own_device import on_the_cpu
from sphinx_framework.witness.settings import autocast_now


@contextmanager
def without_autocast() -> Iterator[None]:
    """A host's autocast would change the bytes of a result; components switch on their own.

    So would a default device of its own.
    """
    with on_the_cpu(), ExitStack() as off:
        for kind, enabled, _ in autocast_now():
            if enabled:
                off.enter_context(torch.autocast(kind, enabled=False))
        yield


def check_default_type() -> None:
    """Raise :class:`ConfigError` where torch makes new tensors in another type than float32.

    It is a setting of the whole process: switching it for a request would reach other threads.
    """
    found = torch.get_default_dtype()
    if found != torch.float32:
        raise ConfigError(
            f"torch's default type is {found}; components make their tensors in float32.",
            hint="Call torch.set_default_dtype(torch.float32) before rendering.",
        )

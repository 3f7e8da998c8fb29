"""While a component is made: what belongs to the process stays as it was."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sphinx_framework.registry.process_state import kept_process
from sphinx_framework.witness.randomness import kept_randomness
from sphinx_framework.witness.settings import Settings


@contextmanager
def kept_for_others(what: str) -> Iterator[None]:
    """Put back random states, torch's settings and all that an import may not change either.

    Layers of torch's own draw their first weights from the global generator, and many a network
    seeds it: a host that creates an engine goes on with its own random numbers. What is printed
    goes to stderr.
    """
    settings = Settings.now()
    with kept_randomness():
        try:
            with kept_process(what):
                yield
        finally:
            changed = settings.restored()
            if changed:
                sys.stderr.write(f"{what} changed {changed}; that is undone.\n")

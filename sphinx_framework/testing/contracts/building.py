"""What the making of a component changes for everybody: seeds, and settings of the process."""

import logging
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from sphinx_framework.witness.randomness import kept_randomness
from sphinx_framework.witness.settings import Settings

UNLIKELY = 0x5EED_0F_0DD5  # nobody's seed
WORDS, BLOCKS = 624, 4096  # of a Mersenne twister; that many draws are no seeding


@contextmanager
def watched_making() -> Iterator[list[str]]:
    """Fills the list with the settings that the block changes and the generators that it seeds.

    Generators are put back. To draw from them is no seeding: layers of torch's own do, when they
    are made.
    """
    found: list[str] = []
    settings = process_settings()
    with kept_randomness():
        torch.default_generator.manual_seed(UNLIKELY)
        np.random.set_state(np.random.RandomState(UNLIKELY % 2**32).get_state())
        random.setstate(random.Random(UNLIKELY).getstate())
        of_numpy, of_python = np.random.get_state(legacy=True), _of_python(random.getstate())
        yield found
        now = process_settings()
        found += [f"settings of {name}" for name in now if now[name] != settings[name]]
        if torch.initial_seed() != UNLIKELY:
            found.append("the random state of torch")
        if not _drawn(of_numpy, np.random.get_state(legacy=True)):
            found.append("the random state of numpy")
        if not _drawn(of_python, _of_python(random.getstate())):
            found.append("the random state of Python")


def _of_python(state: Any) -> tuple[Any, ...]:
    *key, position = state[1]
    return ("MT19937", np.array(key, dtype=np.uint32), position)


def _drawn(before: Any, after: Any) -> bool:
    """Whether draws alone lead from one state of a Mersenne twister to another."""
    twister: Any = np.random.RandomState()
    twister.set_state(before[:3])
    for _ in range(BLOCKS):
        if np.array_equal(twister.get_state(legacy=True)[1], after[1]):
            return True
        twister.bytes(4 * WORDS)
    return False


def process_settings() -> dict[str, object]:
    """What belongs to the whole process and a component has no business to change."""
    root = logging.getLogger()
    return {
        "torch": Settings.now(),
        "numpy": np.geterr(),
        "folder": os.getcwd(),
        "root logger": (root.level, tuple(root.handlers)),
        "Ctrl-C": signal.getsignal(signal.SIGINT),
    }

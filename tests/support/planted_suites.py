"""The fakes of every kind with one mistake each, and what a contract suite says of them."""

import re
from functools import partial
from inspect import signature
from typing import Any

from engines import CPU
from planted_mistakes import Change
from planted_readers import KnowingPoses, acceptance_reader, sample

from sphinx_framework.testing.contracts import CONTRACTS, Contract, NotApplicable
from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeEmbedder,
    FakeMask,
    FakeQuality,
    FakeRegression,
    FakeSteps,
)

FAKES = {
    "regression": FakeRegression,
    "diffusion": FakeDiffusion,
    "quality": FakeQuality,
    "mask": FakeMask,
    "steps": FakeSteps,
    "embedder": FakeEmbedder,
    "poses": KnowingPoses,
    "scene_reader": acceptance_reader,
}


def wrapped(kind: str, method: str, change: Change) -> Any:
    """A fake whose ``method`` is ``change(fake, original method, state, *arguments)``."""
    fake = FAKES[kind](FakeConfig(), CPU)
    original, state = getattr(fake, method), {}

    def changed(*given, **named):
        return change(fake, original, state, *given, **named)

    if "evidence" in signature(change).parameters:  # it asks for evidence as an estimator does
        changed.__signature__ = signature(partial(change, fake, original, state))
    setattr(fake, method, changed)
    return fake


def complaint(suite: Contract, check: str, crash: str = "") -> str | None:
    """What a check says of a component; ``None`` where it holds.

    crash: type and text of the exception that the component itself is to raise; no other counts.
    """
    try:
        getattr(suite, f"test_{check}")()
    except NotApplicable:
        return None
    except AssertionError as told:
        if crash or "writing-a-plugin.md" not in str(told):  # no check's sentence
            raise
        return str(told)
    except (Exception, SystemExit) as error:
        if crash and re.search(crash, repr(error)):
            return repr(error)
        raise
    return None


def suite_of(kind: str, component: Any) -> Contract:
    body = {"make": lambda _: component, "sample": sample() if kind == "scene_reader" else None}
    return type("Suite", (CONTRACTS[kind],), body)()


def checks_of(kind: str) -> list[str]:
    names = [name for name in dir(CONTRACTS[kind]) if name.startswith("test_")]
    return [name.removeprefix("test_") for name in names]

"""Fakes of which one method answers with something else."""

import torch
from engines import CPU, FixedSteps

from sphinx_framework.testing.fakes import (
    FakeConfig,
    FakeDiffusion,
    FakeMask,
    FakeQuality,
    FakeRegression,
)

MADE = (10, 20, 30, 40)


class Altered:
    """A fake whose one method answers with something else."""

    def __init__(self, inner, method, change):
        self._inner, self._method, self._change = inner, method, change

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name != self._method:
            return found
        return lambda *given, **named: self._change(found(*given, **named))


def poisoned(answer, row=1):
    answer = answer.clone()
    answer.view(len(answer), -1)[row, 0] = torch.nan
    return answer


INNER = {
    "regression": lambda: FakeRegression(FakeConfig(), CPU),
    "diffusion": lambda: FakeDiffusion(FakeConfig(), CPU),
    "quality": lambda: FakeQuality(FakeConfig(), CPU),
    "mask": lambda: FakeMask(FakeConfig(), CPU),
    "steps": lambda: FixedSteps(MADE),
}

"""The contract of models that finish frames catches those that break it."""

import pytest
from engines import CPU
from planted_suites import complaint, suite_of

from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion

FINISHED = "finished_frames_are_pictures_each_for_itself"


class Finishing(FakeDiffusion):
    """The mean of a refined frame and its render."""

    def finish(self, refined, evidence):
        return (refined + evidence.renders) / 2


class TooBright(Finishing):
    def finish(self, refined, evidence):
        return super().finish(refined, evidence) + 0.5


class OfAll(Finishing):
    """Looks at the other frames of the call."""

    def finish(self, refined, evidence):
        return (super().finish(refined, evidence) - refined.mean()).clamp(0, 1)


class NeedsOpacity(Finishing):
    def finish(self, refined, evidence):
        return super().finish(refined, evidence) * evidence.opacity[:, None]


class NeedsWarps(Finishing):
    def finish(self, refined, evidence):
        return (super().finish(refined, evidence) + evidence.warps.mean(0)) / 2


class WritesIntoRenders(Finishing):
    def finish(self, refined, evidence):
        return evidence.renders.add_(refined).div_(2)


@pytest.mark.parametrize(
    ("model", "right"),
    [
        (Finishing, True),
        (TooBright, False),
        (OfAll, False),
        (NeedsOpacity, False),
        (NeedsWarps, False),
        (WritesIntoRenders, False),
    ],
)
def test_frames_that_are_finished_wrongly_are_caught(model, right):
    suite = suite_of("diffusion", model(FakeConfig(), CPU))
    try:
        told = complaint(suite, FINISHED)
    except (TypeError, AttributeError) as error:
        told = str(error)
    assert (told is None) == right, told

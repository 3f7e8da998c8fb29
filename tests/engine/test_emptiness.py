"""Targets that see nothing, or little, of what a regression stage made are told, for all stages."""

from dataclasses import replace

import pytest
import torch
from engines import engine_with

from sphinx_framework.errors import SceneError
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene

CPU = torch.device("cpu")


class Blind(FakeRegression):
    """The fake stage, with nothing behind the named targets."""

    def __init__(self, empty, known=True, left=0.0):
        super().__init__(FakeConfig(), CPU)
        self.empty, self.known, self.left = empty, known, left

    def predict(self, scene):
        coarse = super().predict(scene)
        opacity = coarse.opacity.clone()
        opacity[list(self.empty)] = self.left
        told = ("a depth range of 1 to 100 is assumed",)
        return replace(coarse, opacity=opacity if self.known else None, warnings=told)


def said(empty, known=True, targets=4, left=0.0):
    engine = engine_with(parts={"regression": Blind(empty, known, left)})
    return engine.prepare(fake_scene(targets), mode="regression").warnings


def test_targets_that_see_nothing_are_named_in_one_warning():
    assert "2 of 4 targets see nothing of what fake made of the inputs: 1, 3" in said((1, 3))
    assert not any("see nothing" in warning for warning in said(()))


def test_many_are_counted_and_the_first_are_named():
    (warning,) = [w for w in said(range(11), targets=12) if "see nothing" in w]
    assert warning.endswith(": 0, 1, 2, 3, 4, 5, 6, 7, ...")


def test_targets_that_see_little_are_named_too():
    (warning,) = [w for w in said((0, 2), left=0.39) if "see little" in w]
    assert warning.startswith("2 of 4 targets see little of what fake made of the inputs")
    assert "(mean opacity below 0.4): 0, 2; most of such a frame is guessed" in warning
    assert not any("see little" in w for w in said((0, 2), left=0.41))
    assert not any("see little" in w for w in said((0, 2)))  # nothing is not little


def test_where_no_target_sees_anything_the_request_is_refused_with_the_depths_and_their_origin():
    with pytest.raises(SceneError, match="at depths of 1 to 10 scene units") as caught:
        said(range(4))
    assert "none of the 4 targets sees anything of what fake made" in caught.value.message
    assert "1 to 100 is assumed" in caught.value.message
    assert "z forward" in caught.value.hint


def test_a_stage_without_opacity_is_not_judged():
    assert not any("see nothing" in warning for warning in said(range(4), known=False))

import pytest
import torch
from networks import MixedModel, random_clip

from sphinx_framework.testing.oracle import (
    RELATIVE_TOLERANCE,
    fresh_cache_errors,
    relative_error,
)


class Cheating(MixedModel):
    """Looks at the mean of whatever rows it holds."""

    def denoise(self, x, step, condition, ops):
        return super().denoise(x, step, condition, ops) + x.mean(0, keepdim=True)


def test_relative_error_is_the_worst_difference_over_the_largest_value():
    expected = torch.tensor([1.0, -4.0])
    assert relative_error(expected + 0.2, expected) == pytest.approx(0.05)
    assert relative_error(expected, expected) == 0


def test_an_honest_network_passes_under_every_executor():
    x, condition = random_clip(3, (8, 8))
    tiles = torch.zeros(3, 2, 2, dtype=torch.bool)
    tiles[0, 1, 1] = True
    errors = fresh_cache_errors(
        MixedModel(("conv", "clip")), x, 0, condition, frames=[2, 0], tiles=tiles
    )
    assert errors.keys() == {"record", "frames", "tiles"}
    assert max(errors.values()) < RELATIVE_TOLERANCE


def test_a_network_that_looks_past_the_executor_does_not():
    x, condition = random_clip(3, (8, 8))
    errors = fresh_cache_errors(Cheating(("conv",)), x, 0, condition, frames=[1])
    assert errors["record"] < RELATIVE_TOLERANCE
    assert errors["frames"] > 0.01

"""A noise level that is another step's is caught, with a sentence of its own."""

import pytest
from planted_fifth import RIGHT, WRONG_LEVELS, LevelledDiffusion
from planted_suites import checks_of, complaint, suite_of

LEVEL = "the_noise_level_is_that_of_the_step_asked_about"
TOLD_APART = "a_step_is_told_from_the_one_beside_it"


def test_a_network_that_is_told_its_own_level_keeps_every_demand():
    for model in (RIGHT, LevelledDiffusion(lambda step, count: step, preconditioned=False)):
        suite = suite_of("diffusion", model)
        for check in checks_of("diffusion"):
            assert complaint(suite, check) is None, check


@pytest.mark.parametrize("preconditioned", [True, False])
@pytest.mark.parametrize("wrong", WRONG_LEVELS)
def test_a_level_that_is_off_by_one_is_caught(wrong, preconditioned):
    model = LevelledDiffusion(WRONG_LEVELS[wrong], preconditioned=preconditioned)
    suite = suite_of("diffusion", model)
    told = [complaint(suite, check) for check in (LEVEL, TOLD_APART)]
    assert any(told)
    assert all("step" in text for text in told if text)

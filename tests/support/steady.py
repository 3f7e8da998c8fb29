"""A pytest plugin: what a test does depends on nothing but the test, wherever and whenever it runs.

Hypothesis draws the same examples in every run, on every machine and in every worker process.
``--hypothesis-profile search`` draws new ones: for a developer, never for CI. Random numbers begin
anew with every test. And no test leaves torch with another number of threads than it found: two
threads in each of two workers on two cores cost thirty times the time of small networks.
"""

import random
from collections.abc import Generator

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Load the profile, before Hypothesis's own plugin reads its options."""
    from hypothesis import HealthCheck, settings
    from hypothesis.internal.conjecture import providers

    # No files beside the sources, and no limit of time: machines may be busy.
    same = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    settings.register_profile("suite", same, max_examples=40, derandomize=True, print_blob=False)
    settings.register_profile("search", same, max_examples=200, print_blob=True)
    settings.load_profile("suite")
    # Examples would also be made of the numbers and texts in our modules, as far as a process has
    # imported them by then: others in each worker and order of tests, whatever the seed is.
    providers._get_local_constants = lambda: providers._local_constants


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Seed what draws random numbers; put the number of threads back after the test."""
    import torch  # whose numbers else begin anywhere, in every process

    random.seed(0)
    torch.default_generator.manual_seed(0)
    before = torch.get_num_threads()
    result = yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)
    return result

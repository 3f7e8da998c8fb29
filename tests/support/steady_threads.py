"""A pytest plugin: no test leaves torch with another number of threads than it found.

Two threads in each of two workers on two cores cost thirty times the time of small networks.
"""

import sys
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Put the number of threads back after every test."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    result = yield
    if torch is not None and torch.get_num_threads() != before:
        torch.set_num_threads(before)
    return result

"""Libraries' warnings are kept from the user by any number of threads at once, and come back."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from sphinx_framework.quiet import quiet_warnings


def test_no_warning_inside_and_every_one_after() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet_warnings():
            warnings.warn("inside", stacklevel=1)
        warnings.warn("after", stacklevel=1)
    assert [str(one.message) for one in seen] == ["after"]


def test_an_error_inside_gives_the_filters_back() -> None:
    before = list(warnings.filters)
    with pytest.raises(OSError, match="damaged"), quiet_warnings():
        raise OSError("damaged")
    assert list(warnings.filters) == before


@pytest.mark.parametrize("first_out", [True, False])
def test_threads_that_overlap_keep_each_others_silence_and_leave_no_trace(first_out: bool) -> None:
    """The first one in may leave first or last."""
    before = list(warnings.filters)
    entered, may_leave = ((threading.Event(), threading.Event()) for _ in range(2))

    def inside(which: int) -> None:
        with quiet_warnings():
            entered[which].set()
            assert may_leave[which].wait(10)
            warnings.warn("a library's", stacklevel=1)  # an error here, as the tests' filters say

    with ThreadPoolExecutor(2) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        during = list(warnings.filters)
        both = []
        for which in range(2):
            both.append(pool.submit(inside, which))
            assert entered[which].wait(10)
        early, late = (0, 1) if first_out else (1, 0)
        may_leave[early].set()
        both[early].result(10)
        assert list(warnings.filters) != during
        may_leave[late].set()
        both[late].result(10)
        assert list(warnings.filters) == during
    assert list(warnings.filters) == before

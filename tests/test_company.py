"""Threads that work beside each other: settings of the process, TF32, and what is printed."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sphinx_framework.errors import JobError
from sphinx_framework.executors.kernels import fast_kernels
from sphinx_framework.printing import prints_to_stderr
from sphinx_framework.witness import Witness
from sphinx_framework.witness.company import Company

WAIT = 10


class Pair:
    """Two threads inside of something at once; the first to come is the first to leave."""

    def __init__(self, inside):
        self._inside = inside
        self.entered, self.may_leave = ([threading.Event() for _ in range(2)] for _ in range(2))

    def stay(self, which, work=lambda: None):
        with self._inside() as found:
            work()
            self.entered[which].set()
            assert self.may_leave[which].wait(WAIT)
        return found


def test_who_was_inside_with_another_thread_knows():
    company = Company()
    pair = Pair(company.inside)
    with ThreadPoolExecutor(2) as pool:
        both = []
        for which in range(2):
            both.append(pool.submit(pair.stay, which))
            assert pair.entered[which].wait(WAIT)
        for event in pair.may_leave:
            event.set()
        assert [stay.result(WAIT).accompanied for stay in both] == [True, True]
    with company.inside() as outer, company.inside() as inner:
        pass
    assert not outer.accompanied  # the same thread, twice
    assert not inner.accompanied


def test_a_setting_that_a_component_changes_alone_is_its_own_doing():
    def changing():
        with Witness("quality", "x").asked("quality"):
            torch.use_deterministic_algorithms(True)

    with pytest.raises(JobError, match="deterministic mode"):
        changing()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_setting_that_changes_while_two_are_at_work_is_blamed_on_neither():
    pair = Pair(lambda: Witness("quality", "x").asked("quality"))
    try:
        with ThreadPoolExecutor(2) as pool:
            both = []
            for which in range(2):
                work = (lambda: torch.use_deterministic_algorithms(True)) if which else lambda: None
                both.append(pool.submit(pair.stay, which, work))
                assert pair.entered[which].wait(WAIT)
            for event in pair.may_leave:
                event.set()
            for stay in both:
                stay.result(WAIT)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def kernels_now():
    cuda = torch.backends.cuda
    return cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, cuda.math_sdp_enabled()


@pytest.mark.parametrize("first_out", [0, 1])
def test_tf32_lasts_until_the_last_thread_has_left(first_out):
    before = kernels_now()
    pair = Pair(lambda: fast_kernels(torch.device("cuda")))
    with ThreadPoolExecutor(2) as pool:
        both = []
        for which in range(2):
            both.append(pool.submit(pair.stay, which))
            assert pair.entered[which].wait(WAIT)
        for which in (first_out, 1 - first_out):
            assert kernels_now() == (True, True, False)
            pair.may_leave[which].set()
            both[which].result(WAIT)
    assert kernels_now() == before


@pytest.mark.parametrize("first_out", [0, 1])
def test_prints_of_other_threads_stay_where_they_are(first_out, capsys):
    usual = sys.stdout
    pair = Pair(prints_to_stderr)
    with ThreadPoolExecutor(2) as pool:
        both = []
        for which in range(2):
            both.append(pool.submit(pair.stay, which, lambda: sys.stdout.write("a reader's\n")))
            assert pair.entered[which].wait(WAIT)
        sys.stdout.write("the host's\n")
        for which in (first_out, 1 - first_out):
            pair.may_leave[which].set()
            both[which].result(WAIT)
    assert sys.stdout is usual
    said = capsys.readouterr()
    assert said.out == "the host's\n"
    assert said.err == "a reader's\na reader's\n"

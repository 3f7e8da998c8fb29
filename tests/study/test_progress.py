"""Remaining time: from measured work only."""

import pytest

from sphinx_framework.study.progress import Pace, told


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_nothing_is_promised_before_anything_was_measured():
    pace = Pace(10, Clock())
    pace.skip(4)
    assert pace.remaining_seconds is None
    assert told(pace.remaining_seconds) == "remaining time unknown yet"


def test_work_of_an_earlier_run_does_not_count_as_fast():
    clock = Clock()
    pace = Pace(10, clock)
    pace.skip(6)
    clock.now = 5.0
    pace.advance()
    assert pace.remaining_seconds == pytest.approx(15.0)
    assert pace.finished == 7


def test_nothing_remains_at_the_end():
    pace = Pace(2, Clock())
    pace.skip(2)
    assert pace.remaining_seconds == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42, "about 42 s left"), (600, "about 10 min left"), (7200, "about 2.0 h left")],
)
def test_times_are_told_in_fitting_units(seconds, text):
    assert told(seconds) == text

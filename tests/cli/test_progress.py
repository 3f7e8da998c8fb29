"""Progress: plain lines in a file, a bar on a terminal."""

import io

import pytest
from engines import fixed_engine
from rich.console import Console

from sphinx_framework.cli.progress import show_progress
from sphinx_framework.errors import JobError
from sphinx_framework.testing.fakes import fake_scene


def shown(*, terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100)
    events = fixed_engine((50, 20, 34, 50)).stream(fake_scene(), mode="fine")
    return show_progress(events, console), stream.getvalue()


def test_plain_lines_name_the_stages_and_every_tenth_step():
    result, text = shown(terminal=False)
    assert text.splitlines() == [
        "regression: 4 views ready",
        "plan: 30 denoising steps",
        "denoise: step 10 of 30",
        "denoise: step 20 of 30",
        "denoise: step 30 of 30",
    ]
    assert len(result.images) == 4


def test_a_terminal_gets_a_bar_that_disappears():
    result, text = shown(terminal=True)
    assert "━" in text
    assert text.endswith("\x1b[2K")  # the bar's line is erased when it is done
    assert "views ready" not in text
    assert len(result.images) == 4


@pytest.mark.parametrize("terminal", [True, False])
def test_a_stream_that_ends_early_is_an_error(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal)
    with pytest.raises(JobError, match="without a result"):
        show_progress([], console)

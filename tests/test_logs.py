import contextlib
import io

import pytest
import structlog

from sphinx_framework.logs import configure_logs, get_logger


@pytest.fixture(autouse=True)
def _default_logs():
    yield
    configure_logs()
    structlog.reset_defaults()


def test_logs_go_to_stderr_and_are_quiet_by_default(capsys):
    configure_logs()
    log = get_logger("here")
    log.info("a detail")
    log.warning("a warning", number=3)
    told = capsys.readouterr()
    assert told.out == ""
    assert "a warning" in told.err
    assert "component=here" in told.err
    assert "a detail" not in told.err


def test_verbose_logs_tell_details(capsys):
    configure_logs(verbose=True)
    get_logger("here").debug("a detail")
    assert "a detail" in capsys.readouterr().err


def test_a_stderr_that_was_replaced_and_closed_since_does_not_matter(capsys):
    earlier = io.StringIO()
    with contextlib.redirect_stderr(earlier):
        configure_logs()
        log = get_logger("here")
        log.warning("before")
    assert "before" in earlier.getvalue()
    earlier.close()
    log.warning("after")
    assert "after" in capsys.readouterr().err


def test_a_library_that_nobody_configured_leaves_stdout_alone(capsys):
    structlog.reset_defaults()
    log = get_logger("here")
    log.info("a detail")
    log.warning("a warning")
    told = capsys.readouterr()
    assert told.out == ""
    assert "a warning" in told.err
    assert "a detail" not in told.err


def test_verbose_logs_show_the_road_of_a_request(capsys):
    from sphinx_framework.testing.fakes import fake_scene
    from sphinx_framework.testing.pipeline import fake_engine

    configure_logs(verbose=True)
    fake_engine().render(fake_scene(), mode="fine")
    told = capsys.readouterr().err
    for stage in ("regression", "quality", "plan", "encode", "denoise", "decode"):
        assert f"stage={stage}" in told
    for line in ("planned", "step done", "finished", "request=fake-0/1"):
        assert line in told


def test_doing_less_than_the_mode_asks_for_is_a_warning(capsys):
    from sphinx_framework.plugin import Capabilities
    from sphinx_framework.testing.fakes import fake_scene
    from sphinx_framework.testing.pipeline import fake_engine

    fake_engine(Capabilities()).render(fake_scene(), mode="fine", quality=0.95)
    told = capsys.readouterr().err
    assert "the model has no frame subsets" in told
    assert "stage done" not in told

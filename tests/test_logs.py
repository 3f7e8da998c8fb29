import pytest
import structlog

from sphinx_framework.logs import configure_logs, get_logger


@pytest.fixture(autouse=True)
def _default_logs():
    yield
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

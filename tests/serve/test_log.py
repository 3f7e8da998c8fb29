"""One event a line, also of what libraries report."""

import json
import logging

import pytest

from sphinx_framework.serve.log import Log


def failing():
    raise ZeroDivisionError("two\nlines")


@pytest.mark.parametrize("name", ["uvicorn.error", "asyncio"])
def test_an_exception_that_a_library_logs_is_one_line_of_the_log(capfd, name):
    with Log(as_json=True).of_libraries():
        try:
            failing()
        except ZeroDivisionError:
            logging.getLogger(name).exception("Exception in ASGI application\n")
        logging.getLogger(name).info("of no interest")
    (line,) = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["event"]) == ("error", "Exception in ASGI application")
    assert told["library"] == name
    assert "ZeroDivisionError" in told["reason"]
    assert told["at"].startswith("test_log.py:")


def test_loggers_are_given_back():
    logger = logging.getLogger("uvicorn")
    before = logger.propagate, list(logger.handlers)
    with Log(as_json=True).of_libraries():
        assert len(logger.handlers) == len(before[1]) + 1
    assert (logger.propagate, logger.handlers) == before

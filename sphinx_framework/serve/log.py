"""The server's log: one line an event on stderr, JSON objects when asked for."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sphinx_framework.errors import InputError
from sphinx_framework.serve.clock import rfc3339
from sphinx_framework.serve.problems import clean

LIBRARIES = ("uvicorn", "asyncio")


class Log:
    """Structured lines. Nothing that authorises anybody is ever passed to it."""

    def __init__(self, *, as_json: bool, debug: bool = False) -> None:
        """as_json: one JSON object a line; debug: also what is only of use to developers."""
        self._json, self._debug = as_json, debug

    def debug(self, event: str, **fields: Any) -> None:
        """For developers."""
        if self._debug:
            self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """What happened."""
        self._write("info", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """What should not have happened."""
        self._write("error", event, fields)

    @contextmanager
    def of_libraries(self) -> Iterator[None]:
        """Meanwhile what libraries report comes as lines of this log, never as text beside it."""
        reporter = _Reporter(self)
        loggers = [logging.getLogger(name) for name in LIBRARIES]
        before = [logger.propagate for logger in loggers]
        for logger in loggers:
            logger.addHandler(reporter)
            logger.propagate = False
        try:
            yield
        finally:
            for logger, propagate in zip(loggers, before, strict=True):
                logger.removeHandler(reporter)
                logger.propagate = propagate

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        moment = rfc3339(time.time())
        if self._json:
            line = json.dumps({"time": moment, "level": level, "event": event, **fields})
        else:
            shown = " ".join(f"{key}={clean(str(value), 300)}" for key, value in fields.items())
            line = f"{moment} {level:<5} {event} {shown}".rstrip()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def reason(error: BaseException) -> dict[str, str]:
    """What was raised, what was behind it, and where, in one line, the innermost place first.

    Of what the user can mend the sentence says all.
    """
    found = {"reason": clean(f"{type(error).__name__}: {error}", 300)}
    if isinstance(error, InputError) and error.__cause__ is None:
        return found
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    if root is not error:
        found["cause"] = clean(repr(root), 300)
    places = traceback.extract_tb(root.__traceback__)[::-1]
    found["at"] = " < ".join(f"{Path(place.filename).name}:{place.lineno}" for place in places)
    return found


class _Reporter(logging.Handler):
    """Warnings and errors of libraries; of an exception its place, the innermost first."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"library": record.name}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields |= reason(error)
        tell = self._log.error if record.levelno >= logging.ERROR else self._log.info
        tell(clean(record.getMessage().strip(), 300), **fields)

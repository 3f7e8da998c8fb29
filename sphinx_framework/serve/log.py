"""The server's log: one line an event on stderr, JSON objects when asked for."""

import json
import sys
import time
from typing import Any

from sphinx_framework.serve.clock import rfc3339
from sphinx_framework.serve.problems import clean


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

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        moment = rfc3339(time.time())
        if self._json:
            line = json.dumps({"time": moment, "level": level, "event": event, **fields})
        else:
            shown = " ".join(f"{key}={clean(str(value), 300)}" for key, value in fields.items())
            line = f"{moment} {level:<5} {event} {shown}".rstrip()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

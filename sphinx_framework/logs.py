"""Structured logs on stderr; quiet by default, so that output belongs to the user.

Nothing of the process is configured: a program that configured structlog gets our lines through
its own processors, any other one gets warnings on stderr from loggers of ours alone. structlog is
imported when the first line is written: most commands write none.
"""

import logging
import sys
from typing import Any


class _Wish:
    """What the command line asked for."""

    verbose = False


class _Stderr:
    """Prints lines; stderr is looked up each time, as a caller may have replaced or closed it."""

    def __getattr__(self, level: str) -> Any:
        return self.line

    def line(self, text: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def configure_logs(verbose: bool = False) -> None:
    """Write to stderr warnings and errors, or everything when ``verbose``."""
    _Wish.verbose = verbose


def listening() -> bool:
    """Whether anybody wants lines below a warning: ``--debug``, or a host's own structlog."""
    structlog = sys.modules.get("structlog")
    return _Wish.verbose or (structlog is not None and bool(structlog.is_configured()))


def get_logger(name: str) -> Any:
    """Return a structured logger bound to a component's name."""
    import structlog

    if structlog.is_configured():
        return structlog.get_logger(component=name)
    return structlog.wrap_logger(
        _Stderr(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if _Wish.verbose else logging.WARNING
        ),
        component=name,
    )

"""Structured logs on stderr; quiet by default, so that output belongs to the user.

structlog is imported when the first line is written: most commands write none.
"""

import logging
import sys
from typing import Any


class _Wish:
    """What the program asked for, kept until the first line."""

    verbose = False


def configure_logs(verbose: bool = False) -> None:
    """Send log lines to stderr: warnings and errors, or everything when ``verbose``."""
    _Wish.verbose = verbose
    if "structlog" in sys.modules:
        _configure()


def listening() -> bool:
    """Whether anybody wants lines below a warning: ``--debug``, or a host's own structlog."""
    structlog = sys.modules.get("structlog")
    return _Wish.verbose or (structlog is not None and bool(structlog.is_configured()))


def get_logger(name: str) -> Any:
    """Return a structured logger bound to a component's name.

    A program that uses the library and has not configured structlog gets our quiet defaults:
    structlog's own would print every detail to its stdout.
    """
    import structlog

    if not structlog.is_configured():
        _configure()
    return structlog.get_logger(component=name)


def _configure() -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if _Wish.verbose else logging.WARNING
        ),
        # Looked up for every line: a caller may have replaced or closed the stderr of this moment.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )

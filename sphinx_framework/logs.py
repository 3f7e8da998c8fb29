"""Structured logs on stderr; quiet by default, so that output belongs to the user."""

import logging
import sys
from typing import Any

import structlog


def configure_logs(verbose: bool = False) -> None:
    """Send log lines to stderr: warnings and errors, or everything when ``verbose``."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if verbose else logging.WARNING
        ),
        # Looked up for every line: a caller may have replaced or closed the stderr of this moment.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def get_logger(name: str) -> Any:
    """Return a structured logger bound to a component's name.

    A program that uses the library and has not configured structlog gets our quiet defaults:
    structlog's own would print every detail to its stdout.
    """
    if not structlog.is_configured():
        configure_logs()
    return structlog.get_logger(component=name)

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
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def get_logger(name: str) -> Any:
    """Return a structured logger bound to a component's name."""
    return structlog.get_logger(component=name)

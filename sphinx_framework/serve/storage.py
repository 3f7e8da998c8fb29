"""Disks that are full and databases that do not answer, as problems that clients understand."""

from sqlalchemy.exc import DBAPIError

from sphinx_framework.folders.guard import says_full
from sphinx_framework.serve.database import DoubtError
from sphinx_framework.serve.problems import Problem, retry_after

_SECONDS = 5.0
STORAGE_ERRORS = (OSError, DBAPIError, DoubtError)


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no space left."""
    if isinstance(error, OSError):
        return says_full(error)
    return isinstance(error, DBAPIError) and "full" in str(error.orig).lower()


def storage_problem(error: BaseException) -> Problem:
    """507, 503, or 500 for one of ``STORAGE_ERRORS``; nothing of its text is a client's to read."""
    if is_full(error):
        return Problem(
            "storage-full",
            "The server's disk is full.",
            hint="Delete finished jobs, or come back later.",
        )
    if isinstance(error, OSError):
        return Problem("internal", "The request could not be answered.")
    return Problem(
        "not-ready",
        "The server's database does not answer.",
        hint="Send the request again, with the same Idempotency-Key.",
        headers=retry_after(_SECONDS),
    )

"""``Range``: one part of a file, all of it, or a problem (RFC 9110, section 14)."""

import re

from starlette.requests import Request

from sphinx_framework.serve.problems import Problem

_ONE = re.compile(r"bytes=(?:([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99}))", re.ASCII | re.I)


def keep_one_range(request: Request, size: int, tag: str) -> None:
    """Leave a request's ``Range`` where it names one part of a file; what else it says is ignored.

    Raises :class:`Problem` 416 for a part behind the file's end.
    """
    given = request.headers.getlist("range")
    match = _ONE.fullmatch(given[0].strip()) if len(given) == 1 else None
    if match is None or request.headers.get("if-range", tag) != tag or not _serves(match, size):
        headers = request.scope["headers"]
        request.scope["headers"] = [pair for pair in headers if pair[0].lower() != b"range"]


def _serves(match: re.Match[str], size: int) -> bool:
    """Whether the part is one: an end before its start is none."""
    first, last, suffix = match.groups()
    if (suffix is not None and int(suffix) == 0) or (first is not None and int(first) >= size):
        raise Problem(
            "malformed-request",
            f"The file has {size} bytes.",
            status=416,
            headers={"Content-Range": f"bytes */{size}"},
        )
    return not last or int(last) >= int(first)

"""Errors as RFC 9457 problem documents: one class, one table of types, one way to write them."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

URN = "urn:sphinx-nvs:problem:"
LONGEST_DETAIL = 1000

TITLES: dict[str, tuple[int, str]] = {
    "malformed-request": (400, "The request cannot be read"),
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden-origin": (403, "Requests from this origin are not allowed"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This method is not offered here"),
    "request-timeout": (408, "The request took too long"),
    "job-finished": (409, "The job has ended"),
    "job-not-finished": (409, "The job has not ended"),
    "job-unsuccessful": (409, "The job ended without a result"),
    "upload-too-large": (413, "The upload is too large"),
    "unsupported-media-type": (415, "This content type is not taken"),
    "wrong-host": (421, "This server has another name"),
    "request-invalid": (422, "The request cannot be used"),
    "scene-invalid": (422, "The scene cannot be used"),
    "archive-unsafe": (422, "The archive is not safe to unpack"),
    "idempotency-key-reused": (422, "The idempotency key belongs to another request"),
    "queue-full": (429, "The queue is full"),
    "wait-too-long": (429, "The wait would be too long"),
    "too-many-streams": (429, "Too many event streams are open"),
    "internal": (500, "Something went wrong here"),
    "not-ready": (503, "The server takes no jobs at the moment"),
    "storage-full": (507, "The server's storage is full"),
    # Errors of jobs; they never are the status of an answer.
    "worker-lost": (500, "The job's process ended unexpectedly"),
    "out-of-memory": (500, "The job needed more memory than there is"),
    "not-finite": (500, "The model computed NaN or infinity"),
    "timeout": (500, "The job ran longer than it may"),
    "model-failed": (500, "The model failed"),
}
_ODD = re.compile(r"[\ud800-\udfff]")


class Problem(Exception):  # noqa: N818 - the RFC's word
    """An answer of 400 and above; ``errors`` holds RFC 6901 pointers and details."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        hint: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.name, self.detail, self.hint = name, clean(detail), clean(hint)
        self.errors = [{key: clean(text) for key, text in error.items()} for error in errors]
        self.headers = dict(headers or {})
        self.status = status or TITLES[name][0]

    def document(self) -> dict[str, Any]:
        """The JSON object of an answer."""
        document: dict[str, Any] = {
            "type": URN + self.name,
            "title": TITLES[self.name][1],
            "status": self.status,
            "detail": self.detail or TITLES[self.name][1],
        }
        if self.hint:
            document["hint"] = self.hint
        if self.errors:
            document["errors"] = self.errors
        return document

    def for_path(self, path: str) -> tuple[dict[str, Any], str]:
        """The JSON object and its media type; below ``/v1/videos`` in the shape of that API."""
        if not path.startswith("/v1/videos"):
            return self.document(), "application/problem+json"
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": self.detail, "type": kind, "code": self.name}
        return {"error": error}, "application/json"

    def job_error(self) -> dict[str, str]:
        """The ``error`` of a failed job."""
        return job_error(self.name, self.detail, self.hint)


def job_error(name: str, detail: str, hint: str = "") -> dict[str, str]:
    """The ``error`` of a failed job."""
    return {
        "type": URN + name,
        "title": TITLES[name][1],
        "detail": clean(detail) or TITLES[name][1],
        "hint": clean(hint),
    }


def retry_after(seconds: float) -> dict[str, str]:
    """The ``Retry-After`` header: whole seconds in 1..300."""
    return {"Retry-After": str(int(min(300, max(1, -(-seconds // 1)))))}


def clean(text: str, longest: int = LONGEST_DETAIL) -> str:
    """Text that any UTF-8 JSON can hold: no lone surrogates, no control or direction characters."""
    text = _ODD.sub("\N{REPLACEMENT CHARACTER}", text[: 4 * longest])
    shown = "".join(
        " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" if _hidden(c) else c for c in text
    )
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def dump(value: Any) -> bytes:
    """Compact UTF-8 JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

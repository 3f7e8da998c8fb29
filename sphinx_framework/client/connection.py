"""Requests that are repeated until a server answers, and its errors as exceptions."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from sphinx_framework.errors import ConfigError, InputError, JobError, shown

RETRY_SECONDS = 300.0
FIRST_CONTACT_SECONDS = 20.0
LONGEST_PAUSE = 30.0
PAUSE_SECONDS = 1.0  # between two tries of a stream, and at least after a refusal
BUSY_SECONDS = 5.0  # where the server does not say when to come back
OURS = "Is it the address of sphinx-nvs serve, of this version?"


class RefusedError(InputError):
    """The server refused the request (4xx); ``status`` and ``problem`` say more."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status, self.problem = status, problem
        detail = str(problem.get("detail") or f"the server answered {status}")
        super().__init__(detail, hint=str(problem.get("hint") or ""))


class UnreachableError(JobError):
    """The server cannot be reached, stays overloaded, or failed."""


class BusyError(UnreachableError):
    """The server is overloaded for the moment, or starting (503)."""


class Connection:
    """HTTP to one server, with retries."""

    def __init__(self, url: str, api_key: str | None) -> None:
        """url: such as ``http://127.0.0.1:8000``; api_key: sent as a bearer token.

        Raises :class:`RefusedError` for another address, :class:`ConfigError` for what is no key.
        """
        headers = {} if api_key is None else {"Authorization": f"Bearer {_checked_key(api_key)}"}
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=_address(self.url), headers=headers, timeout=httpx.Timeout(60, read=120)
        )
        self._reached = False

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One answer of less than 300; 429, 503 and broken connections are tried again.

        ``body`` may be a function that makes the body anew for every try.
        Raises :class:`RefusedError` and :class:`UnreachableError`.
        """
        make_body = options.pop("body", None)
        began, pause, wait = time.monotonic(), 0.5, 0.5
        while True:
            body = {} if make_body is None else make_body()
            try:
                answer: httpx.Response | None = self._http.request(method, path, **options, **body)
            except httpx.LocalProtocolError:
                raise _unsendable() from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                self._give_up_after(began, f"{self.url} cannot be reached: {_why(error)}.")
                wait, pause = pause, min(LONGEST_PAUSE, 2 * pause)
                answer = None
            finally:
                for _, (_, file, _) in body.get("files", ()):
                    file.close()
            if answer is not None:
                self._reached = True
                if answer.status_code not in (429, 503):
                    return checked(answer)
                wait = _wait(answer.headers.get("retry-after", ""))
                if time.monotonic() + wait - began > RETRY_SECONDS:
                    raise UnreachableError(str(_problem(answer).get("detail", "overloaded")))
            time.sleep(wait)

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """A streamed answer; raises ``httpx.TransportError`` when it breaks."""
        try:
            with self._http.stream("GET", path, **options) as answer:
                self._reached = True
                if answer.status_code >= 300:
                    answer.read()
                yield checked(answer)
        except httpx.LocalProtocolError:
            raise _unsendable() from None

    def _give_up_after(self, began: float, message: str) -> None:
        longest = RETRY_SECONDS if self._reached else FIRST_CONTACT_SECONDS
        if time.monotonic() - began > longest:
            raise UnreachableError(message, hint="Is the server running, and --server right?")


class Patience:
    """How long streams of a connection have been broken, until it is given up."""

    def __init__(self, connection: Connection) -> None:
        self._url = connection.url
        self._broken_since: float | None = None

    def heard(self) -> None:
        """Something arrived whole: count from the next break."""
        self._broken_since = None

    def broken(self, error: Exception) -> None:
        """Raise :class:`UnreachableError` where nothing has arrived for ``RETRY_SECONDS``."""
        self._broken_since = self._broken_since or time.monotonic()
        if time.monotonic() - self._broken_since > RETRY_SECONDS:
            raise UnreachableError(f"{self._url} cannot be reached any more.") from error


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer, or its error as an exception."""
    if answer.status_code >= 500:
        detail = _problem(answer).get("detail", f"the server answered {answer.status_code}")
        kind = BusyError if answer.status_code == 503 else UnreachableError
        raise kind(str(detail))
    if answer.status_code >= 400:
        raise RefusedError(answer.status_code, _problem(answer))
    if answer.status_code >= 300:  # not followed: the job and the key are for the server named
        place = answer.headers.get("location")
        where = "" if place is None else f" to {shown(place)}"
        raise UnreachableError(
            f"{shown(answer.url.host)} answered {answer.status_code}, a redirection{where}.",
            hint=OURS,
        )
    return answer


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise RefusedError(0, {"detail": f"{shown(url)!r} is not an http:// or https:// address."})
    return address


def _wait(told: str) -> float:
    """Seconds until a server is asked again: its ``Retry-After``, a number or (RFC 9110) a date."""
    if re.fullmatch(r"[0-9]{1,9}", told, re.ASCII):
        return max(PAUSE_SECONDS, float(told))
    try:
        return max(PAUSE_SECONDS, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return BUSY_SECONDS


def _checked_key(key: str) -> str:
    """A key as it goes into a header; files and shells leave line ends around it."""
    bare = key.strip()
    if not bare or any(not "!" <= character <= "~" for character in bare):
        raise ConfigError(  # without the key: what is said may be seen by others
            "the API key is empty, or holds something else than visible ASCII characters.",
            hint="Give it as serve --make-key printed it: SPHINX_NVS_API_KEY, or api_key=.",
        )
    return bare


def _unsendable() -> ConfigError:
    """What HTTP cannot carry: never tried again, and never quoted, since headers hold the key."""
    return ConfigError("the request cannot be sent: a header of it is not valid in HTTP.")


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__

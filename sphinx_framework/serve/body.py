"""Reading a request's body: within its size and its time, parts of a form straight to disk."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.settings import Settings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_NAME = re.compile(r"[a-z_]{1,32}", re.ASCII)


@dataclass(slots=True)
class Part:
    """One part of a form, stored in a file whose name the server chose."""

    name: str
    filename: str | None
    content_type: str
    path: Path

    def read(self, at_most: int) -> bytes:
        """Its content; :class:`Problem` 413 when it is larger."""
        if self.path.stat().st_size > at_most:
            raise Problem("upload-too-large", f"The part {self.name!r} is larger than {at_most}.")
        return self.path.read_bytes()


def media_type(request: Request) -> str:
    """The content type without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def chunks(request: Request, settings: Settings, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces; raises :class:`Problem` when it is too large, too slow or cut off."""
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > limit:
        raise _too_large(limit)
    until = time.monotonic() + settings.body_seconds
    seen = 0
    stream = request.stream()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), max(0.0, until - time.monotonic()))
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Problem("request-timeout", "The body took too long.") from None
        except ClientDisconnect:
            raise Problem("malformed-request", "The body ended early.") from None
        seen += len(chunk)
        if seen > limit:
            raise _too_large(limit)
        yield chunk


async def read_body(request: Request, settings: Settings, limit: int) -> bytes:
    """The whole body."""
    pieces = [chunk async for chunk in chunks(request, settings, limit)]
    return b"".join(pieces)


async def read_form(request: Request, settings: Settings, folder: Path) -> list[Part]:
    """The parts of a ``multipart/form-data`` body, written below ``folder``."""
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise Problem("malformed-request", "The multipart body has no usable boundary.")
    form = _Form(folder, settings.max_photos + 16)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in chunks(request, settings, settings.max_upload_bytes):
            parser.write(chunk)
        parser.finalize()
    except MultipartParseError:
        raise Problem("malformed-request", "The multipart body cannot be read.") from None
    finally:
        form.close()
    if not form.ended:
        raise Problem("malformed-request", "The multipart body has no end.")
    return form.parts


@dataclass(slots=True)
class _Form:
    """Collects what the parser calls back with."""

    folder: Path
    most: int
    parts: list[Part] = field(default_factory=list)
    ended: bool = False
    _headers: dict[str, bytes] = field(default_factory=dict)
    _field: bytes = b""
    _value: bytes = b""
    _file: BinaryIO | None = None

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._headers, self._field, self._value = {}, b"", b""
        if len(self.parts) >= self.most:
            raise Problem("malformed-request", f"The form has more than {self.most} parts.")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > 4096:
            raise Problem("malformed-request", "A part's header is too long.")

    def _header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value
        self._field, self._value = b"", b""

    def _open(self) -> None:
        kind, options = parse_options_header(self._headers.get("content-disposition", b""))
        try:
            name = options.get(b"name", b"").decode("utf-8")
            filename = options[b"filename"].decode("utf-8") if b"filename" in options else None
        except UnicodeDecodeError:
            raise Problem("malformed-request", "A part's name is not UTF-8.") from None
        if kind != b"form-data" or not _NAME.fullmatch(name):
            raise Problem("malformed-request", "A part of the form has no usable name.")
        content_type = self._headers.get("content-type", b"").decode("latin-1")
        path = self.folder / f"part-{len(self.parts)}"
        self.parts.append(Part(name, filename, content_type.split(";")[0].strip(), path))
        self._file = open(path, "xb")  # noqa: SIM115 - closed at the part's end

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        self.ended = True


def _too_large(limit: int) -> Problem:
    return Problem("upload-too-large", f"The body is larger than {limit / 1e6:g} MB.")

"""A Hugging Face hub on this machine: one commit with some files, or one answer to everything."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Serves ``files`` (by path or name) of any repository at :data:`COMMIT`, whatever revision.

    refusal: HTTP status and the hub's error code that every request gets instead. requests: paths
    of files that were asked for.
    """

    def __init__(
        self, files: dict[str, bytes] | None = None, refusal: tuple[int, str] | None = None
    ) -> None:
        self.files = files or {}
        self.refusal = refusal
        self.requests: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stand_in(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        """Be the hub of this process, with an empty cache, until the test ends."""
        from huggingface_hub import constants

        pattern = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.address + pattern)
        monkeypatch.setattr(constants, "ENDPOINT", self.address)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def _answer(self, with_body: bool) -> None:
                if "/resolve/" in self.path:  # the client asks for other things, too
                    hub.requests.append(self.path)
                whole = unquote(self.path.partition("?")[0])
                inside = whole.partition("/resolve/")[2].partition("/")[2]
                name = inside if inside in hub.files else whole.rsplit("/", 1)[-1]
                content = hub.files.get(name)
                status, code = hub.refusal or ((200, "") if content else (404, "EntryNotFound"))
                self.send_response(status)
                if code:
                    content = b""
                    self.send_header("X-Error-Code", code)
                else:
                    self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if with_body:
                    self.wfile.write(content or b"")

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

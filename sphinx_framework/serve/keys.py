"""API keys: a file of names and SHA-256 sums; the keys themselves are stored nowhere."""

import hashlib
import hmac
import re
import secrets
from pathlib import Path

from sphinx_framework.errors import ConfigError

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]{1,64})\s+(?P<sum>[0-9a-fA-F]{64})$")
ANONYMOUS = ""


def make_key(name: str) -> tuple[str, str]:
    """A new random key of 256 bits and its line for the file."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise ConfigError(
            f"--make-key {name!r}: a name has 1 to 64 letters, digits, dots, dashes, underscores."
        )
    key = secrets.token_urlsafe(32)
    return key, f"{name} {hashlib.sha256(key.encode()).hexdigest()}"


class ApiKeys:
    """The keys of a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises :class:`ConfigError` naming the line that is wrong."""
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._sums: dict[str, str] = {}
        self._read()

    def owner(self, header: str | None) -> str | None:
        """The name of the key in an ``Authorization`` header, or none."""
        self._refresh()
        scheme, _, key = (header or "").partition(" ")
        given = hashlib.sha256(key.strip().encode("utf-8", "replace")).hexdigest()
        found = None
        for name, known in self._sums.items():  # every key is compared, whatever the outcome
            if hmac.compare_digest(known, given):
                found = name
        return found if scheme.lower() == "bearer" and key.strip() else None

    def reload(self) -> None:
        """Read the file now; raises :class:`ConfigError` and keeps the known keys."""
        self._read()

    def _refresh(self) -> None:
        try:
            if self._stamp != self._state():
                self._read()
        except (OSError, ConfigError):
            return  # a file that is being edited: the keys known so far hold

    def _state(self) -> tuple[int, int, int]:
        state = self.path.stat()
        return state.st_mtime_ns, state.st_size, state.st_ino

    def _read(self) -> None:
        try:
            stamp, text = self._state(), self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--api-keys {self.path}: cannot be read: {error}.") from None
        sums: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = _LINE.match(line.strip())
            if match is None or match["name"] in sums:
                raise ConfigError(
                    f"--api-keys {self.path}, line {number}: is not a new NAME and its SHA256HEX.",
                    hint="sphinx-nvs serve --make-key NAME prints such a line.",
                )
            sums[match["name"]] = match["sum"].lower()
        self._stamp, self._sums = stamp, sums

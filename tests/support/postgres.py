"""A PostgreSQL server of the tests' own, from the package ``pgserver`` or of the machine."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT = 180.0


class Postgres:
    """One server on a loopback port; it takes anybody's word, and forgets on :meth:`close`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses
            nobody = pwd.getpwnam("nobody")
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.binaries = self._binaries()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-U", "sphinx", "--auth=trust", "-E", "utf8", "-N")
        self.start()

    def _binaries(self) -> Path:
        """Where its programs are; a copy where another user could not run them."""
        package = importlib.util.find_spec("pgserver")
        if package is None or package.origin is None:
            return max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))
        found = Path(package.origin).parent
        if (
            self.user
            and subprocess.run(
                ["test", "-x", found / "pginstall/bin/initdb"], **self.user, check=False
            ).returncode
        ):
            for folder in (found, found.with_name("pgserver.libs")):
                shutil.copytree(folder, self.folder / folder.name)
            found = self.folder / found.name
        return found / "pginstall" / "bin"

    def _run(self, program: str, *arguments: object) -> None:
        command = [self.binaries / program, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, check=False, **self.user
        )
        assert done.returncode == 0, done.stderr

    @property
    def url(self) -> str:
        """For ``--db``."""
        return f"postgresql+psycopg://sphinx@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        flags = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",  # of the tests' machine; the server's own commits are synchronous
        }
        settings = [part for name, value in flags.items() for part in ("-c", f"{name}={value}")]
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*map(str, command), *settings],
                stdout=log, stderr=log, cwd=self.folder, **self.user,
            )  # fmt: skip
        end = time.monotonic() + LIMIT
        while not self._answers():
            assert time.monotonic() < end, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url.replace("+psycopg", "")):
                return True
        except psycopg.OperationalError:
            return False

    def stop(self) -> None:
        """Stop it at once, as a power cut would: every connection breaks."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(LIMIT)

    def execute(self, *commands: str) -> None:
        """Run SQL."""
        import psycopg

        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            for command in commands:
                connection.execute(command)  # type: ignore[call-overload]

    def close(self) -> None:
        """Stop it and remove what it stored."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

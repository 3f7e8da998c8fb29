"""The process of a worker, wherever it runs: told, listened to, killed."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

LONGEST_LINE = 1 << 22
VISIBLE = "CUDA_VISIBLE_DEVICES"
Message = dict[str, Any]


class Process(Protocol):
    """What the pool needs of a process."""

    pid: int | None  # on this machine, where it is known

    def send(self, message: Message) -> None:
        """Tell it something; a process that is gone is noticed by who listens."""

    def messages(self) -> AsyncIterator[Message]:
        """What it tells, until it ends."""

    def kill(self) -> None:
        """End it at once."""

    async def ended(self) -> int | None:
        """Kill it and wait; the exit code, where it is known."""

    def resident_bytes(self) -> int:
        """Memory that it holds, 0 where it cannot be told."""


Start = Callable[[int, dict[str, str]], Awaitable[Process]]  # worker's index, environment


def own_gpu(index: int, environ: Mapping[str, str], count: int) -> dict[str, str]:
    """Which of several GPUs a worker sees: they take turns; nothing where there is no choice.

    count: GPUs that this process may use. A list that the user has set is kept, and shared out.
    """
    named = [name.strip() for name in environ.get(VISIBLE, "").split(",") if name.strip()]
    names = named or [str(number) for number in range(count)]
    return {VISIBLE: names[index % len(names)]} if min(len(names), count) > 1 else {}


def visible_gpus() -> int:
    """GPUs that this process may use, counted without a context on any of them."""
    import torch

    return torch.cuda.device_count()


class LocalProcess:
    """A process of this machine, at the other end of a socket pair."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """As :meth:`start` makes it."""
        self._process, self._reader, self._writer = process, reader, writer
        self.pid: int | None = process.pid

    @classmethod
    async def start(cls, index: int, environment: dict[str, str]) -> "LocalProcess":
        """Start a process with more variables of the environment."""
        del index
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sphinx_framework.serve.worker",
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                env={**os.environ, **environment},
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        return cls(process, reader, writer)

    @classmethod
    async def start_on_own_gpu(cls, index: int, environment: dict[str, str]) -> "LocalProcess":
        """The same, with one of several GPUs in sight."""
        own = own_gpu(index, os.environ, visible_gpus())
        return await cls.start(index, {**environment, **own})

    def send(self, message: Message) -> None:
        """Write one line."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """Read lines until the socket's end."""
        with suppress(ConnectionError, ValueError):
            while line := await self._reader.readline():
                yield json.loads(line)

    def kill(self) -> None:
        """Send SIGKILL.

        Not by ``send_signal``: that asks first whether the process has ended, and so may reap it
        before asyncio does, which then neither knows its exit code nor stays silent.
        """
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def ended(self) -> int | None:
        """Kill it, reap it, and close the socket."""
        self.kill()
        code = await self._process.wait()
        self._writer.close()
        return code

    def resident_bytes(self) -> int:
        """From ``/proc`` (Linux)."""
        try:
            with open(f"/proc/{self.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

"""What runs in a replica: it starts a worker process beside it and passes its messages on."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

from sphinx_framework.serve.process import LocalProcess, Message

SILENT_SECONDS = 60.0  # without a word from the server: it is gone, and so is the work


class Relay:
    """One worker process at a time; a newer call replaces the process of an older one."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._process: LocalProcess | None = None
        self._heard = time.monotonic()

    async def run(self, index: int, environment: dict[str, str]) -> AsyncIterator[Message]:
        """Start the process; first its ids, then everything that it tells until it ends."""
        self.kill()
        process = self._process = await LocalProcess.start(index, environment)
        self._heard = time.monotonic()
        watching = asyncio.create_task(self._watch(process))
        try:
            yield {"relay": os.getpid(), "pid": process.pid}
            async for message in process.messages():
                yield message
        finally:
            watching.cancel()
            await process.ended()

    async def tell(self, message: Message) -> None:
        """Pass a message on to the process; an empty one only says that the server lives."""
        self._heard = time.monotonic()
        if message and self._process is not None:
            self._process.send(message)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    async def _watch(self, process: LocalProcess) -> None:
        while time.monotonic() - self._heard < SILENT_SECONDS:
            await asyncio.sleep(SILENT_SECONDS / 10)
        process.kill()

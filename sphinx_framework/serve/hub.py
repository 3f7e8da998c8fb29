"""Event blocks of jobs that run or are watched, in memory, and who waits for the next one."""

import asyncio
from collections import defaultdict


class Hub:
    """Fed after every commit; readers take blocks by their gapless ids."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._blocks: dict[str, dict[int, bytes]] = defaultdict(dict)
        self._readers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.streams = 0
        self.closing = False

    def publish(self, job: str, seq: int, block: bytes) -> None:
        """Take a committed event; kept only while somebody reads the job's stream."""
        if self._readers.get(job):
            self._blocks[job][seq] = block
            self._wake(job)

    def watch(self, job: str) -> asyncio.Event:
        """Register a reader; its event is set whenever there is something new."""
        event = asyncio.Event()
        self._readers[job].add(event)
        return event

    def leave(self, job: str, event: asyncio.Event) -> None:
        """Unregister a reader; the last one takes the job's blocks with it."""
        self._readers[job].discard(event)
        if not self._readers[job]:
            del self._readers[job]
            self._blocks.pop(job, None)

    def next(self, job: str, after: int) -> list[bytes]:
        """Blocks that follow ``after`` without a gap, as far as memory has them."""
        known = self._blocks.get(job, {})
        found = []
        while after + 1 in known:
            after += 1
            found.append(known[after])
        return found

    def close(self) -> None:
        """End all streams: the server stops."""
        self.closing = True
        for job in list(self._readers):
            self._wake(job)

    def _wake(self, job: str) -> None:
        for event in self._readers.get(job, ()):
            event.set()

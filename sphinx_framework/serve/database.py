"""One thread that owns the database: every transaction is committed before its answer is given."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.tables import metadata

T = TypeVar("T")


@dataclass(slots=True)
class Transaction:
    """A connection within a transaction, and the event blocks it stores."""

    connection: Connection
    published: list[tuple[str, int, bytes]] = field(default_factory=list)


class Database:
    """Runs transactions one after the other; events reach readers only after the commit."""

    def __init__(self, url: str, publish: Callable[[str, int, bytes], None]) -> None:
        """Open the database and make its tables; raises :class:`ConfigError` for a bad URL."""
        self._publish = publish
        self._thread = ThreadPoolExecutor(1, "database")
        try:
            sqlite = url.startswith("sqlite")
            options: dict[str, Any] = {}
            if sqlite:
                options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
            self._engine = create_engine(url, **options)
            if sqlite:
                event.listen(self._engine, "connect", _durable)
            self._thread.submit(metadata.create_all, self._engine).result()
        except (SQLAlchemyError, ImportError, ValueError) as error:
            self._thread.shutdown()
            first = str(error).splitlines()[0]
            raise ConfigError(
                f"--db: the database cannot be used: {first}",
                hint="It is an SQLAlchemy URL, for example sqlite:///jobs.sqlite3.",
            ) from None

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run ``work(transaction, *arguments)``, commit, publish its events, return its value."""
        loop = asyncio.get_running_loop()

        def transact() -> T:
            with self._engine.begin() as connection:
                transaction = Transaction(connection)
                value = work(transaction, *arguments)
            if transaction.published:
                loop.call_soon_threadsafe(self._tell, transaction.published)
            return value

        # An accepted transaction ends, even if the request that wanted it is gone.
        return await asyncio.shield(loop.run_in_executor(self._thread, transact))

    def _tell(self, published: list[tuple[str, int, bytes]]) -> None:
        for job, seq, block in published:
            self._publish(job, seq, block)

    def close(self) -> None:
        """Finish what is waiting and close."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()


def _durable(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()

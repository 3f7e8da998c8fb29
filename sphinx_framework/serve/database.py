"""One thread that owns the database: every transaction is committed before its answer is given."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.tables import metadata

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
_WROTE = "wrote"


class DoubtError(Exception):
    """A commit was sent and its answer was lost: only a new start can tell what is stored."""


@dataclass(slots=True)
class Transaction:
    """A connection within a transaction, and the event blocks it stores."""

    connection: Connection
    published: list[tuple[str, int, bytes]] = field(default_factory=list)


class Database:
    """Runs transactions one after the other; events reach readers only after the commit.

    trouble: is told why a transaction of the server's own has to wait. doubt: is told when it is
    not known what is stored; from then on nothing runs any more.
    """

    def __init__(self, url: str | URL, publish: Callable[[str, int, bytes], None]) -> None:
        """Open the database and make its tables; raises :class:`ConfigError` for a bad URL."""
        self._publish = publish
        self.trouble: Callable[[str], None] = lambda _: None
        self.doubt: Callable[[], None] = lambda: None
        self.closing = False
        self._in_doubt = False
        self._thread = ThreadPoolExecutor(1, "database")
        try:
            url = make_url(url)
            self._local = url.get_backend_name() == "sqlite"
            self._engine = create_engine(url, **_options(self._local))
            if self._local:
                event.listen(self._engine, "connect", _durable)
            event.listen(self._engine, "before_execute", _note_writes)
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
            value, published = self._transact(work, arguments)
            if published:
                loop.call_soon_threadsafe(self._tell, published)
            return value

        # An accepted transaction ends, even if the request that wanted it is gone.
        try:
            return await asyncio.shield(loop.run_in_executor(self._thread, transact))
        except DoubtError:
            self.doubt()
            raise

    async def persist(self, work: Callable[..., T], *arguments: Any) -> T:
        """As :meth:`run`, for what has happened and must be stored: tried until it can be."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self.run(work, *arguments)
            except (OperationalError, InterfaceError) as error:
                if self.closing:
                    raise
                self.trouble(str(error.orig).splitlines()[0] if error.orig else "")
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def at_once(self, work: Callable[..., T], *arguments: Any) -> T:
        """As :meth:`run`, before there is a loop; it publishes nothing."""
        return self._thread.submit(lambda: self._transact(work, arguments)[0]).result()

    def _transact(
        self, work: Callable[..., T], arguments: tuple[Any, ...]
    ) -> tuple[T, list[tuple[str, int, bytes]]]:
        if self._in_doubt:
            raise DoubtError
        with self._engine.connect() as connection:  # what fails before the commit never happened
            transaction = Transaction(connection)
            facts = connection.info
            facts[_WROTE] = False
            value = work(transaction, *arguments)
            try:
                connection.commit()
            except DBAPIError as error:
                if self._local or not error.connection_invalidated:
                    raise
                if facts[_WROTE]:
                    self._in_doubt = True
                    raise DoubtError from error
        return value, transaction.published

    def _tell(self, published: list[tuple[str, int, bytes]]) -> None:
        for job, seq, block in published:
            self._publish(job, seq, block)

    def close(self) -> None:
        """Finish what is waiting and close."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()


def _options(local: bool) -> dict[str, Any]:
    if local:
        return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    return {"pool_pre_ping": True}  # a database that was started again is found by the next call


def _note_writes(
    connection: Connection, clause: Any, multiple: Any, parameters: Any, options: Any
) -> None:
    """Whose end is lost is in doubt only if it changed something: what was read, was read."""
    if not getattr(clause, "is_select", False):
        connection.info[_WROTE] = True


def _durable(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()

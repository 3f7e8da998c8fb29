"""A database belongs to one data directory: never to two servers, never to other files."""

import secrets
from collections.abc import Callable

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.database import Database, Transaction
from sphinx_framework.serve.datadir import DataDirectory, durable_write
from sphinx_framework.serve.settings import Settings
from sphinx_framework.serve.tables import home, jobs

TOKEN_BYTES = 16


def open_database(
    settings: Settings, data: DataDirectory, publish: Callable[[str, int, bytes], None]
) -> Database:
    """The database of a locked data directory; the two are joined for good.

    Where it does not lie in the directory, both hold the same token; where it does and was lost,
    the results of its jobs show it. Raises :class:`ConfigError` when one of them belongs to
    another, before any job is touched.
    """
    database = Database(settings.database_url, publish)
    try:
        _join(database, data, elsewhere=settings.database_elsewhere)
    except BaseException:
        database.close()
        raise
    return database


def _join(database: Database, data: DataDirectory, *, elsewhere: bool) -> None:
    place = data.root / "database"
    own = place.read_text().strip() if place.is_file() else None
    if not elsewhere:
        if own is not None:
            raise _foreign(data, "holds jobs of another database", "Start with its --db again")
        _refuse_lost(database, data)
        return
    known, count = database.at_once(_known)
    if known is None and count == 0 and any(data.jobs.iterdir()):
        raise _foreign(data, "holds jobs that this database does not know", "Start with theirs")
    if known is not None and known != own:
        raise _foreign(data, "is not the one of this database", "Start with that one")
    if own is None:
        own = secrets.token_hex(TOKEN_BYTES)
        durable_write(place, (own + "\n").encode())
    if known is None:
        try:
            database.at_once(_mark, own)
        except IntegrityError:  # two servers at the same moment
            place.unlink()
            raise _foreign(data, "is not the one of this database", "Start with that one") from None


def _refuse_lost(database: Database, data: DataDirectory) -> None:
    """Results without any job are those of a database that is gone, not of this one."""
    _, count = database.at_once(_known)
    if count == 0 and any(data.holds_results(folder.name) for folder in data.jobs.iterdir()):
        raise ConfigError(
            f"--data {data.root}: holds results in 'jobs', and its jobs.sqlite3 knows no job.",
            hint="Put a copy of the lost jobs.sqlite3 back, or choose another folder; "
            "moving 'jobs' away keeps the results and starts anew.",
        )


def _known(transaction: Transaction) -> tuple[str | None, int]:
    """The token that a database holds, and how many jobs."""
    token = transaction.connection.execute(select(home.c.token)).scalar()
    count = transaction.connection.execute(select(func.count()).select_from(jobs)).scalar_one()
    return token, count


def _mark(transaction: Transaction, token: str) -> None:
    transaction.connection.execute(insert(home).values(number=1, token=token))


def _foreign(data: DataDirectory, what: str, hint: str) -> ConfigError:
    return ConfigError(
        f"--data {data.root}: {what} (--db).", hint=f"{hint}, or choose another folder."
    )

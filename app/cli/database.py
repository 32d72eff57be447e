"""The database that a command works on: the configured one, or the embedded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import typer

from app.components.catalog import read_declarations
from app.embedded import running
from app.settings import Settings
from app.store.migrations import check_schema, drop_empty_weeks, migrate
from app.store.operator_session import explained, in_operator_transaction
from app.store.typed_views.update import update_views


class Database(NamedTuple):
    """A database that can be used now.

    Attributes:
        url: with its password.
        bin_dir: the programs that belong to an embedded one; None for another.
    """

    url: str
    bin_dir: Path | None


def say(text: str) -> None:
    """Tell the operator something beside what was asked for."""
    typer.echo(text, err=True)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The configured database; without one the embedded, started if it is not up.

    Raises:
        EmbeddedPostgresError: it cannot be started.
    """
    if settings.database_url is not None:
        yield Database(settings.database_url.get_secret_value(), None)
        return
    with running(
        settings.data_dir, bin_dir=settings.postgres_bin, announce=say
    ) as cluster:
        yield Database(cluster.url(), cluster.bin_dir)


@contextmanager
def usable(settings: Settings) -> Iterator[Database]:
    """As `opened`; an embedded database also gets its schema and views updated.

    Another's schema is changed by nothing but `rollcall migrate`.
    """
    with opened(settings) as database:
        if database.bin_dir is not None:
            with explained():
                asyncio.run(migrate(database.url))
                asyncio.run(drop_empty_weeks(database.url))
                asyncio.run(
                    update_views(database.url, read_declarations(settings).declarations)
                )
        yield database


@contextmanager
def current(settings: Settings) -> Iterator[Database]:
    """As `usable`, and its schema is not older than this code needs.

    Raises:
        DatabaseError: it does not answer.
        SchemaError: its schema is older.
    """
    with usable(settings) as database:
        asyncio.run(in_operator_transaction(database.url, check_schema))
        yield database

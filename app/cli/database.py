"""The database of a command: the configured one, or the embedded Postgres."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from app.components.catalog import read_declarations
from app.components.database import database_url
from app.embedded import cluster_exists, running
from app.errors import ConfigurationError, DatabaseError, EmbeddedPostgresError
from app.events.declaration import Declaration
from app.settings import Settings
from app.store.lifecycle.audit import command_actor, record_action
from app.store.migrations import check_schema, drop_empty_weeks, migrate
from app.store.operator.psql import describe_target
from app.store.operator_session import OperatorDatabase, operator_errors
from app.store.typed_views.update import update_views


@dataclass(frozen=True, slots=True)
class Database(OperatorDatabase):
    """A database that is ready for use.

    Attributes:
        bin_dir: programs of the embedded Postgres; None for another one.
    """

    bin_dir: Path | None


def echo_err(text: str) -> None:
    """Print a message for the operator on stderr."""
    typer.echo(text, err=True)


def describe_database(settings: Settings, database: Database) -> str:
    """Return a sentence that names the database, and the data directory in use."""
    target = describe_target(database.url)
    if database.bin_dir is None:
        return f"{target}."
    return f"{target} (embedded, data directory {settings.data_dir.absolute()})."


def record_command(
    database: Database, action: str, *, subject: str | None = None, **details: Any
) -> None:
    """Add a row about this command to the audit log; a failure is only reported."""
    actor = command_actor()
    try:
        database.transact(
            record_action, action=action, actor=actor, subject=subject, **details
        )
    except DatabaseError as error:
        echo_err(f"Not recorded in the audit log. {error.detail}")


@contextmanager
def open_database(settings: Settings, *, create: bool = False) -> Iterator[Database]:
    """Open the configured database; without one, start the embedded Postgres.

    Args:
        settings: settings of the command.
        create: whether the cluster is created if there is none. Commands that only
            look at a database must not create one.

    Raises:
        ConfigurationError: no database is configured, and the embedded is forbidden.
        EmbeddedPostgresError: the embedded Postgres cannot be started.
    """
    url = database_url(settings)
    if url is not None:
        yield Database(url, None)
        return
    if settings.embedded == "off":
        raise ConfigurationError(
            "ROLLCALL_DATABASE_URL is not set, and ROLLCALL_EMBEDDED=off forbids the "
            "embedded Postgres: set ROLLCALL_DATABASE_URL to the URL of your Postgres."
        )
    data_dir = settings.data_dir.absolute()
    if not create and not cluster_exists(data_dir):
        raise EmbeddedPostgresError(
            f"There is no database in {data_dir}: set ROLLCALL_DATA_DIR to the data "
            "directory of your service, or ROLLCALL_DATABASE_URL to its database. "
            "`rollcall serve` creates a new one."
        )
    with running(data_dir, bin_dir=settings.postgres_bin, announce=echo_err) as cluster:
        yield Database(cluster.url(), cluster.bin_dir)


@contextmanager
def open_migrated(
    settings: Settings,
    *,
    create: bool = False,
    declarations: Sequence[Declaration] | None = None,
) -> Iterator[Database]:
    """Open the database; update schema and views if it is the embedded one.

    Only `rollcall migrate` changes the schema of another database.

    Args:
        settings: settings that name the database.
        create: whether to create a missing embedded cluster.
        declarations: events that get a view; None to read them as the settings say.
    """
    with open_database(settings, create=create) as database:
        if database.bin_dir is not None:
            with operator_errors(database.url):
                asyncio.run(migrate(database.url))
                asyncio.run(drop_empty_weeks(database.url))
                if declarations is None:
                    declarations = read_declarations(settings)
                asyncio.run(update_views(database.url, declarations))
        yield database


@contextmanager
def open_checked(settings: Settings, *, create: bool = False) -> Iterator[Database]:
    """Open the database as `open_migrated`, and refuse an older schema.

    Raises:
        DatabaseError: the database does not answer.
        SchemaError: its schema is older than this code needs.
    """
    with open_migrated(settings, create=create) as database:
        database.transact(check_schema)
        yield database

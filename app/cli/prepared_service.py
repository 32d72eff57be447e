"""The database of a service that starts."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import typer

from app.cli.database import Database, echo_err, open_migrated
from app.cli.quickstart import quickstart_message
from app.components.catalog import read_declarations
from app.declarations.declaration_set import to_json
from app.errors import DatabaseError
from app.serving.process import Config
from app.settings import Settings
from app.store.journal.fallback import journal_directory, prepare_journal
from app.store.journal.inspection import find_journals
from app.store.keys.snapshot_file import KeySnapshotFile
from app.store.operator.startup import refuse_unusable_database


@contextmanager
def prepared_service(
    settings: Settings, address: str
) -> Iterator[tuple[Config, Callable[[], Config]]]:
    """Open and check the database, prepare the journal, and print the address.

    The result is the part of a worker's configuration that is prepared here, and a
    function that reads the declarations again.
    """
    declarations = read_declarations(settings)
    with open_migrated(settings, create=True, declarations=declarations) as database:
        can_buffer = _has_snapshot(settings)
        prepare_journal(settings.data_dir, wanted=settings.journal)
        _check_database(database.url, can_buffer=can_buffer)
        _announce(settings, address, database)
        config = {"database_url": database.url, "declarations": to_json(declarations)}
        yield config, partial(_read_again, settings)


def _read_again(settings: Settings) -> Config:
    return {"declarations": to_json(read_declarations(settings))}


def _has_snapshot(settings: Settings) -> bool:
    """Whether an earlier run left keys or events on this machine."""
    if settings.journal == "off":
        return False
    journals = find_journals(journal_directory(settings.data_dir))
    return bool(journals or KeySnapshotFile(settings.data_dir).read())


def _check_database(url: str, *, can_buffer: bool) -> None:
    """Refuse a wrong configuration; start without a database that may come back."""
    try:
        asyncio.run(refuse_unusable_database(url, can_buffer=can_buffer))
    except DatabaseError as error:
        echo_err(f"Starting without the database, not ready yet. {error.detail}")


def _announce(settings: Settings, address: str, database: Database) -> None:
    typer.echo(f"Rollcall listens on {address}")
    if database.bin_dir is not None:
        message = quickstart_message(
            database.url,
            settings.data_dir,
            address=address,
            is_terminal=sys.stdout.isatty(),
        )
        typer.echo(message)
    sys.stdout.flush()

"""`rollcall migrate`."""

import asyncio

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_database
from app.components.catalog import read_declarations
from app.store.migrations import drop_empty_weeks
from app.store.migrations import migrate as migrate_schema
from app.store.operator_session import operator_errors
from app.store.shards.distribute import update_functions
from app.store.typed_views.update import update_views


def migrate() -> None:
    """Bring the schema up to date, and create or extend the views of declared events.

    It is safe to run it twice, or from several machines at once.
    """
    settings = read_settings()
    declarations = read_declarations(settings)
    with (
        open_database(settings, create=True) as database,
        operator_errors(database.url),
    ):
        before, after = asyncio.run(migrate_schema(database.url))
        asyncio.run(update_functions(database.url))
        dropped = asyncio.run(drop_empty_weeks(database.url))
        changes = asyncio.run(update_views(database.url, declarations))
    if before == after:
        echo_err(f"The schema is up to date, at {after}.")
    else:
        echo_err(f"The schema went from {before or 'nothing'} to {after}.")
    if dropped:
        echo_err(f"Empty partitions dropped: {', '.join(dropped)}.")
    for change in changes:
        done = "was created" if change.is_new else "was updated"
        added = f"; new columns: {', '.join(change.added)}" if change.added else ""
        echo_err(f"The view {change.event} {done}{added}.")

"""`rollcall migrate`."""

import asyncio

from app.cli.configuration import read_settings
from app.cli.database import opened, say
from app.store.migrations import drop_empty_weeks
from app.store.migrations import migrate as migrate_schema
from app.store.operator_session import explained


def migrate() -> None:
    """Bring the database's schema up to date; safe to run twice, or by several."""
    with opened(read_settings()) as database, explained():
        before, after = asyncio.run(migrate_schema(database.url))
        dropped = asyncio.run(drop_empty_weeks(database.url))
    if before == after:
        say(f"The schema is up to date, at {after}.")
    else:
        say(f"The schema went from {before or 'nothing'} to {after}.")
    if dropped:
        say(f"Empty partitions dropped: {', '.join(dropped)}.")

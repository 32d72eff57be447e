"""Backfills: batches from a file, one being made while the one before it commits."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseError
from app.store.commit import Committer
from app.store.insert import Entry, Outcome
from app.store.sources import ensure_source

Note = TypeVar("Note")

# What else writes is not in a hurry either: a backfill waits rather than ends.
_COMMIT_TIMEOUT_S = 60.0


async def backfill(
    engine: AsyncEngine,
    *,
    source: str,
    batches: Iterator[tuple[list[Entry], Note]],
    report: Callable[[Sequence[Outcome], Note], None],
) -> None:
    """Commit batches in their order, each in a transaction of its own.

    Args:
        engine: begins and commits the transactions.
        source: registered if it is new.
        batches: made in a thread, each with whatever `report` wants to know of it.
        report: is told of each batch once it is committed.

    Raises:
        ConfigurationError: the source's name is not one.
        DatabaseError: the database has confirmed nothing for a minute. What was
            reported is stored, and of the batch after that perhaps a part.
    """
    async with engine.begin() as connection:
        await ensure_source(connection, name=source)
    committer = Committer(engine, timeout_s=_COMMIT_TIMEOUT_S)
    batch = await asyncio.to_thread(next, batches, None)
    while batch is not None:
        entries, note = batch
        outcomes, batch = await asyncio.gather(
            committer.settle(entries), asyncio.to_thread(next, batches, None)
        )
        confirmed = [outcome for outcome in outcomes if outcome is not None]
        report(confirmed, note)
        if len(confirmed) < len(entries):
            raise DatabaseError(
                f"The database has confirmed nothing for {_COMMIT_TIMEOUT_S:.0f} s;"
                " once it answers, run the same command again."
            )

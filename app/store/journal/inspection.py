"""The journals of a machine for the operator, while the service may be running."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.journal.drain import Drain
from app.store.journal.journal import Journal
from app.store.journal.journal_file import is_owned
from app.store.journal.sqlite import (
    ASIDE,
    JournalStats,
    connect_read_only,
    journal_files,
    measure,
)
from app.store.quarantine.caps import Quarantine
from app.store.service_queries import ServiceQueries
from app.store.shards.buckets import read_buckets
from app.store.shards.committer import committer_of

_CHECK_TIMEOUT_S = 5.0
# Consecutive attempts that store nothing. By then an entry has been tried alone.
_ATTEMPTS = 8


class JournalStatus(NamedTuple):
    """One journal.

    Attributes:
        state: `owned` by a process that drains it, `free` for the next one to adopt,
            or `damaged` and set aside.
        held: its statistics; None if it cannot be read.
    """

    name: str
    state: Literal["owned", "free", "damaged"]
    held: JournalStats | None


class Drained(NamedTuple):
    """Result of draining the free journals.

    Attributes:
        confirmed: number of entries that Postgres has confirmed.
        left: number of entries that remain or are damaged.
    """

    journals: int
    confirmed: int
    left: int


def find_journals(directory: Path) -> list[JournalStatus]:
    """List all journals in the directory, oldest first, and change nothing."""
    found = [
        JournalStatus(str(path.relative_to(directory)), _state_of(path), _held_by(path))
        for path in [*journal_files(directory), *directory.rglob(f"*{ASIDE}")]
    ]
    return sorted(found)


async def drain_free(
    engine: AsyncEngine,
    directory: Path,
    *,
    timeout_s: float,
    quarantine: Quarantine,
    file: Path | None = None,
) -> Drained:
    """Store the entries of journals without an owner.

    Args:
        engine: of the database.
        directory: of the journals.
        timeout_s: time limit of one commit.
        quarantine: keeps rejected events.
        file: only this journal, such as a copy of another machine's.
    """
    journal = Journal(directory, max_bytes=0)
    async with engine.begin() as connection:
        buckets = await read_buckets(connection)
    committer = committer_of(
        engine, buckets, timeout_s=timeout_s, quarantine=quarantine
    )
    lookups = ServiceQueries(engine, timeout_s=_CHECK_TIMEOUT_S)
    drain = Drain(journal, committer=committer, check=lookups.check_ready)
    try:
        files = [file] if file else journal_files(directory)
        journals = sum([await journal.adopt(each) for each in files])
        waiting = journal.waiting
        attempts = 0
        while journal.waiting and attempts < _ATTEMPTS:
            attempts = 0 if await drain.store_page() else attempts + 1
        return Drained(journals, drain.confirmed, waiting - drain.confirmed)
    finally:
        await committer.release()
        await journal.close()


def _state_of(path: Path) -> Literal["owned", "free", "damaged"]:
    if path.suffix == ASIDE:
        return "damaged"
    return "owned" if is_owned(path) else "free"


def _held_by(path: Path) -> JournalStats | None:
    with suppress(sqlite3.Error), connect_read_only(path) as connection:
        return measure(connection)
    return None

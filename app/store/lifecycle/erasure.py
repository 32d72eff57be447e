"""Erasure of one person: deletes their events, lists or redacts mentions by others.

The ids of deleted events stay in `event_ids`, marked as erased and without their
content hash, so that a later retry, import or drain is rejected with `erased`.
"""

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.pipeline.json_encode import encode_exactly
from app.pipeline.persons.person import Person
from app.store.db_errors import DATABASE_ERRORS
from app.store.engine import one_connection
from app.store.lifecycle.audit import record_action
from app.store.lifecycle.subject import Trace, find_traces, redact_columns
from app.store.operator_session import operator_errors
from app.store.quarantine.queries import delete_rejected
from app.store.shards.buckets import ONE_BUCKET, Buckets, read_buckets
from app.store.shards.settings import prepare_shards
from app.store.tables import events, rejected_events
from app.store.transaction import driver_in_transaction, driver_of

# Rewriting a table locks it; larger ones are left to the operator.
MAX_SCRUB_BYTES = 1024**3
# One statement reads all of both tables.
_TIMEOUT_S = 3600.0

# Each row is found by its bucket, too, so that Citus asks one shard for it.
_ERASE_EVENTS = text("""
DELETE FROM events USING unnest(
    CAST(:bucket AS integer[]), CAST(:id AS uuid[]), CAST(:at AS timestamptz[])
) AS own (bucket, id, stored_at)
WHERE events.bucket = own.bucket AND events.id = own.id
    AND events.stored_at = own.stored_at
RETURNING events.bucket, events.id
""")
_MARK_IDS = text("""
UPDATE event_ids SET erased_at = now(), content_hash = ''
FROM unnest(CAST(:bucket AS integer[]), CAST(:id AS uuid[])) AS own (bucket, id)
WHERE event_ids.bucket = own.bucket AND event_ids.id = own.id
""")
_RECEIPT = text("""
INSERT INTO erasures (id, erased_by, counts)
VALUES (:id, current_user || ' / ' || CAST(:actor AS text), CAST(:counts AS jsonb))
""")
_TABLES_OF = text("""
SELECT DISTINCT CAST(CAST(events.tableoid AS regclass) AS text)
FROM events JOIN unnest(
    CAST(:id AS uuid[]), CAST(:at AS timestamptz[])
) AS own (id, stored_at) USING (id, stored_at)
""")
_SHARD = re.compile(r"(?<=^events_p\d{8})_\d+$")
_SIZE = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")


@dataclass(slots=True)
class Erasure:
    """What an erasure found and did.

    Attributes:
        receipt: id of the row of `erasures`; None for a dry run.
        own: rows about the person, deleted unless it was a dry run.
        mentions: rows of others that mention the person, redacted if that was asked.
        tables: tables whose files held the rows.
    """

    receipt: UUID | None = None
    own: list[Trace] = field(default_factory=list)
    mentions: list[Trace] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    @property
    def cut(self) -> int:
        """Rejected events with a cut payload that mention the person.

        Whether they are the person's own cannot be seen.
        """
        return sum(bool(trace.columns.get("truncated")) for trace in self.mentions)


async def find_person(url: str, person: Person) -> Erasure:
    """Find all rows that concern the person, and change nothing.

    Raises:
        DatabaseError: the database did not answer, or the role may not read the tables.
    """
    async with person_transaction(url) as connection:
        return await _find_rows(connection, person)


async def erase_person(
    url: str, person: Person, *, redact: bool, actor: str
) -> Erasure:
    """Delete the person's rows, redact mentions and record it, in one transaction.

    `redact` replaces mentions in rows of others by `[erased]`. The database role has
    the rights of `rollcall_eraser`.

    Raises:
        DatabaseError: nothing was changed.
    """
    async with person_transaction(url) as connection:
        buckets = await read_buckets(connection)
        await prepare_shards(await driver_in_transaction(connection), buckets)
        found = await _find_rows(connection, person, with_mentions=redact)
        own = [trace for trace in found.own if trace.table == "events"]
        gone = await connection.execute(_ERASE_EVENTS, _places(own, buckets))
        await connection.execute(_MARK_IDS, _ids(gone.all()))
        rejected = [trace.id for trace in found.own if trace.table != "events"]
        await delete_rejected(connection, rejected)
        if redact:
            for trace in found.mentions:
                await _redact(connection, person, trace, buckets)
        found.receipt = uuid4()
        counts = {
            "deleted": count_by_table(found.own),
            "redacted" if redact else "mentions": count_by_table(found.mentions),
            "cut": found.cut,
        }
        await connection.execute(
            _RECEIPT,
            {"id": found.receipt, "actor": actor, "counts": json.dumps(counts)},
        )
        await record_action(
            connection, "erase", actor=actor, subject=str(found.receipt)
        )
    return found


async def scrub(url: str, tables: Sequence[str]) -> list[str]:
    """Rewrite tables of the role, so that their files hold no deleted row any more.

    Returns:
        Tables whose files may still hold deleted rows: larger than 1 GiB, locked, owned
        by another role, or read by a transaction that began before the erasure.
    """
    left = []
    async with (
        one_connection(url, command_timeout_s=_TIMEOUT_S) as engine,
        engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection,
    ):
        await connection.execute(text("SET lock_timeout = '5s'"))
        # Statistics hold samples of the values.
        await connection.execute(text("ANALYZE events"))
        for table in [*tables, "pg_statistic"]:
            try:
                size = await connection.scalar(_SIZE, {"name": table})
                if size > MAX_SCRUB_BYTES or not await _rewrite(connection, table):
                    left.append(table)
            except DATABASE_ERRORS:
                left.append(table)
    return left


async def _rewrite(connection: AsyncConnection, table: str) -> bool:
    """Rewrite a table; returns whether all deleted rows are gone from its file."""
    messages: list[asyncpg.PostgresLogMessage] = []

    def listen(_: object, message: asyncpg.PostgresLogMessage) -> None:
        messages.append(message)

    driver = await driver_of(connection)
    driver.add_log_listener(listen)
    try:
        await connection.execute(text(f"VACUUM (FULL, ANALYZE, VERBOSE) {table}"))
        # Messages are handed over in the next turn of the loop.
        await connection.execute(text("SELECT 1"))
    finally:
        driver.remove_log_listener(listen)
    return not any(map(_is_incomplete, messages))


def _is_incomplete(message: asyncpg.PostgresLogMessage) -> bool:
    """Whether a message of VACUUM says that a table was skipped, or keeps rows."""
    if message.severity_en == "WARNING":
        return True
    # The detail is "N dead row versions cannot be removed yet." in some language.
    count = re.search(r"\d+", getattr(message, "detail", None) or "")
    return count is not None and int(count[0]) > 0


async def _find_rows(
    connection: AsyncConnection,
    person: Person,
    *,
    with_mentions: bool = False,
) -> Erasure:
    """Find all rows that concern the person, in the caller's transaction.

    The result has the rows without their content, of which there may be gigabytes;
    `with_mentions` keeps that of the mentions, to redact them.
    """
    found = Erasure()
    async for trace in find_traces(connection, person):
        if trace.is_own:
            found.own.append(trace.without_content())
        else:
            found.mentions.append(trace if with_mentions else trace.without_content())
    touched = [*found.own, *found.mentions]
    stored = [trace for trace in touched if trace.table == "events"]
    names = await connection.scalars(_TABLES_OF, _places(stored, ONE_BUCKET))
    # On Citus the name of a shard, which is rewritten with its table.
    found.tables = sorted({_SHARD.sub("", name) for name in names})
    if len(stored) < len(touched):
        found.tables.append("rejected_events")
    return found


@asynccontextmanager
async def person_transaction(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction with time for reading all of both tables.

    Raises:
        DatabaseError: the database failed.
    """
    with operator_errors(url):
        async with (
            one_connection(url, command_timeout_s=_TIMEOUT_S) as engine,
            engine.begin() as connection,
        ):
            yield connection


async def _redact(
    connection: AsyncConnection, person: Person, trace: Trace, buckets: Buckets
) -> None:
    redacted = redact_columns(person, trace.columns)
    changed = {
        name: value if isinstance(value, str) else encode_exactly(value)
        for name, value in redacted.items()
        if value != trace.columns[name]
    }
    table = events if trace.table == "events" else rejected_events
    change = update(table).where(table.c.id == trace.id).values(changed)
    if table is events:
        bucket = buckets.of(trace.columns["user_id"])
        change = change.where(events.c.stored_at == trace.at, events.c.bucket == bucket)
    await connection.execute(change)


def _places(traces: Sequence[Trace], buckets: Buckets) -> dict[str, Any]:
    return {
        "bucket": [buckets.of(trace.columns["user_id"]) for trace in traces],
        "id": [trace.id for trace in traces],
        "at": [trace.at for trace in traces],
    }


def _ids(places: Sequence[Any]) -> dict[str, Any]:
    ordered = sorted((str(id_), bucket) for bucket, id_ in places)
    return {
        "bucket": [bucket for _, bucket in ordered],
        "id": [id_ for id_, _ in ordered],
    }


def count_by_table(traces: Sequence[Trace]) -> dict[str, int]:
    """Number of rows in `events` and in `rejected_events`."""
    counts = {"events": 0, "rejected_events": 0}
    for trace in traces:
        counts[trace.table] += 1
    return counts

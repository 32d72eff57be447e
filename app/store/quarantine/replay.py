"""Replay: processes rejected events with the current rules, and moves those that pass.

An event leaves the quarantine in the transaction that stores it. So however often,
by however many and however far a replay runs, each event is in one of the two places.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.events.envelope import IDEMPOTENCY_HEADER
from app.pipeline.fields.corrections import NO_CORRECTIONS, Corrections
from app.pipeline.issues import Issue
from app.pipeline.json_decode import decode
from app.pipeline.outcome import EventStatus, Outcome
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, Record, RequestContext
from app.request_errors import InvalidJsonError
from app.store.db_errors import DATABASE_ERRORS, is_data_error
from app.store.lifecycle.audit import record_action
from app.store.quarantine.caps import ID_CONFLICT, UNSTORABLE
from app.store.quarantine.queries import delete_rejected, next_batch
from app.store.read.events import KeysetPosition
from app.store.read.filters import RejectedFilter
from app.store.shards.buckets import read_buckets
from app.store.shards.claim import store_records
from app.store.tables import rejected_events
from app.store.transaction import driver_in_transaction
from app.store.write.insert import REFUSED_AS_ERASED, STORED
from app.store.write.partitions import ensure_partitions

# Processing a batch of the largest events takes seconds without a query.
_TAKE_TIME = text("SET LOCAL idle_in_transaction_session_timeout = '5min'")
_REFUSED = Outcome(EventStatus.REJECTED, errors=(UNSTORABLE,))


class Waiting(NamedTuple):
    """The columns of a rejected event from which it is processed again."""

    id: UUID
    received_at: datetime
    source: str
    message_id: str | None
    errors: list[dict[str, str]]
    payload: str
    request_id: str


WAITING_COLUMNS = tuple(rejected_events.c[name] for name in Waiting._fields)


class Failure(NamedTuple):
    """A rejected event that stays where it is, and why."""

    id: UUID
    errors: Sequence[Issue]


class Replayed(NamedTuple):
    """What became of one batch.

    Attributes:
        stored: events that are in `events` now.
        duplicates: events that were there already, with the same content.
        failures: those that stay in quarantine, and those that were erased before,
            which leave it unstored.
    """

    stored: int
    duplicates: int
    failures: list[Failure]

    @property
    def events(self) -> int:
        """Number of events that were validated again."""
        return self.stored + self.duplicates + len(self.failures)


async def replay(  # noqa: PLR0913 - what, by which rules, who, and whom to inform
    engine: AsyncEngine,
    selection: RejectedFilter,
    *,
    policy: Policy,
    actor: str,
    report: Callable[[Replayed], None],
    corrections: Corrections = NO_CORRECTIONS,
    limit: int = 500,
) -> None:
    """Validate a selection again, and move the valid events to `events`.

    Conflicts of ids, events whose payload was cut and rows that another session has
    locked stay as they are.

    Args:
        engine: used for one transaction a batch.
        selection: with an end, else it includes events that arrive meanwhile.
        policy: the rules of today.
        actor: name in the audit log, which gets a row in each transaction.
        report: called with each batch after its commit.
        corrections: changes to every event before it is processed.
        limit: most events in a batch.
    """
    async with engine.begin() as connection:
        await ensure_partitions(connection)
    after = None
    while True:
        async with engine.begin() as connection:
            await connection.execute(_TAKE_TIME)
            rows = await _lock(connection, selection, after=after, limit=limit)
            if not rows:
                return
            records = [
                process_again(row, policy=policy, corrections=corrections)
                for row in rows
            ]
            replayed = await _store_and_delete(connection, rows, records)
            await record_action(
                connection,
                "rejected.replay",
                actor=actor,
                stored=replayed.stored,
                duplicates=replayed.duplicates,
                rejected=len(replayed.failures),
            )
        report(replayed)
        after = KeysetPosition(rows[-1].received_at, rows[-1].id)


def process_again(
    row: Waiting, *, policy: Policy, corrections: Corrections = NO_CORRECTIONS
) -> Record | Sequence[Issue]:
    """Validate an event as of its original receipt: the record, or the errors."""
    for error in row.errors:
        # The header itself is not stored whole, so it cannot be validated again.
        if error["path"] == IDEMPOTENCY_HEADER:
            return [Issue(**error)]
    try:
        decoded = decode(row.payload.encode(), max_depth=policy.max_depth)
    except InvalidJsonError as error:
        return [Issue(error.code, "", error.detail)]
    processed = process_event(
        decoded.value,
        request_context=RequestContext(
            row.source, row.received_at, row.request_id, idempotency_key=row.message_id
        ),
        policy=policy,
        body=BodyTraits(
            plain=decoded.plain,
            deep=decoded.deep,
            large=len(row.payload) > policy.max_event_bytes,
        ),
        corrections=corrections,
    )
    return processed if isinstance(processed, Record) else processed.errors


async def _lock(
    connection: AsyncConnection,
    selection: RejectedFilter,
    *,
    after: KeysetPosition | None,
    limit: int,
) -> list[Waiting]:
    query = next_batch(selection, *WAITING_COLUMNS, after=after, limit=limit)
    rows = await connection.execute(
        query.where(
            ~rejected_events.c.truncated,
            rejected_events.c.reason != ID_CONFLICT.code,
            rejected_events.c.corrected_at.is_(None),
        )
    )
    return [Waiting(*row) for row in rows]


async def _store_and_delete(
    connection: AsyncConnection,
    rows: list[Waiting],
    results: list[Record | Sequence[Issue]],
) -> Replayed:
    passing: list[tuple[Record, Waiting]] = []
    failures: list[Failure] = []
    for row, result in zip(rows, results, strict=True):
        if isinstance(result, Record):
            passing.append((result, row))
        else:
            failures.append(Failure(row.id, result))
    # Ids are claimed in order even where a refusal splits the batch.
    passing.sort(key=lambda pair: pair[0].id)
    outcomes = await store_each(connection, [record for record, _ in passing])
    leaving: list[UUID] = []
    for (_, row), outcome in zip(passing, outcomes, strict=True):
        failure = failure_of(outcome)
        if failure is not None:
            failures.append(Failure(row.id, [failure]))
        # The quarantine keeps nothing of an erased event either.
        if failure is None or outcome is REFUSED_AS_ERASED:
            leaving.append(row.id)
    await delete_rejected(connection, leaving)
    stored = sum(outcome is STORED for outcome in outcomes)
    return Replayed(stored, len(rows) - len(failures) - stored, failures)


def failure_of(outcome: Outcome) -> Issue | None:
    """Why a valid event was not stored; None if it is stored now."""
    return ID_CONFLICT if outcome.differs else next(iter(outcome.errors), None)


async def store_each(
    connection: AsyncConnection, records: list[Record]
) -> list[Outcome]:
    """Store records; one that Postgres refuses does not affect the others."""
    try:
        async with connection.begin_nested():
            buckets = await read_buckets(connection)
            driver = await driver_in_transaction(connection)
            return await store_records(driver, buckets, records)
    except DATABASE_ERRORS as error:
        if not is_data_error(error):
            raise
    if len(records) == 1:
        return [_REFUSED]
    half = len(records) // 2
    return [
        *await store_each(connection, records[:half]),
        *await store_each(connection, records[half:]),
    ]

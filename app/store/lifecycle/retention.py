"""Retention: deletes events older than a limit, a few blocks per transaction.

A row and its id in `event_ids` are deleted together, so an event that is sent again
later is stored again and never answered `duplicate`. Ids of erased events have no row
and stay. One process at a time runs it; an interrupted run continues with the next.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import column, func, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.leases import end_lease, new_holder, take_lease
from app.store.lifecycle.audit import record_action
from app.store.query import ask
from app.store.shards.buckets import Buckets, read_buckets

Basis: TypeAlias = Literal["stored_at", "timestamp"]

_LEASE = "retention"
_LEASE_S = 120.0
_TIMEOUT_S = 60.0
# Some 2,000 events: a transaction of about 20 ms, which holds few locks.
_BLOCKS = 64
_FAILURE = "Old events could not be deleted: the database did not answer in time."

_PARTITIONS = text("""
SELECT relname AS partition
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'events'::regclass AND relname ~ '^events_p[0-9]{8}$'
ORDER BY relname
""")
_EXPIRE = text("""
SELECT expired, next_block FROM rollcall_expire_events(
    :partition, CAST(:block AS bigint), :blocks, CAST(:before AS timestamptz)
)
""")
_EXPIRE_BUCKET = text("""
SELECT rollcall_expire_bucket(
    :partition, :bucket, :events, CAST(:before AS timestamptz)
)
""")
# Of one bucket in one transaction.
_EVENTS = 2_000


class Week(NamedTuple):
    """A weekly partition with expired events.

    Attributes:
        monday: first day of the week of `stored_at`, at midnight UTC.
        events: number of expired events in it.
    """

    monday: datetime
    events: int


class Limit(NamedTuple):
    """The age at which events expire.

    Attributes:
        days: maximum age in days, at least 1.
        basis: `stored_at` expires whole weeks after their last day, `timestamp` each
            event by the time at which it happened.
    """

    days: int
    basis: Basis = "stored_at"

    def before(self, now: datetime) -> datetime:
        """Events before this instant have expired."""
        return now - timedelta(days=self.days)


@dataclass(slots=True)
class _Run:
    """Deletion of the expired events of one partition, by the holder of the lease."""

    partition: str
    limit: Limit
    before: datetime
    buckets: Buckets
    actor: str
    holder: str
    deleted: int = 0

    async def record(
        self, connection: AsyncConnection, action: str, **counts: int
    ) -> None:
        """Add a row to the audit log."""
        await record_action(
            connection,
            action,
            actor=self.actor,
            subject=self.partition,
            days=self.limit.days,
            basis=self.limit.basis,
            **counts,
        )


async def expired_weeks(
    connection: AsyncConnection, *, limit: Limit, now: datetime
) -> list[Week]:
    """Count the expired events of each partition, oldest first, at a time in UTC."""
    before = limit.before(now)
    weeks = []
    for partition in await _partitions(connection, limit, before):
        found = await connection.scalar(
            select(func.count())
            .select_from(table(partition))
            .where(column(limit.basis) < before)
        )
        if found:
            weeks.append(Week(_monday_of(partition), found))
    return weeks


async def expire_events(
    engine: AsyncEngine,
    *,
    limit: Limit,
    actor: str,
    report: Callable[[str, int, float], None],
) -> int | None:
    """Delete all expired events, unless another process does so now.

    Pauses after each transaction for as long as it took, so that writers keep at least
    half of the disk.

    Args:
        engine: of a role that may execute `rollcall_expire_events`.
        limit: the maximum age.
        actor: name in the audit log, which gets a row `retention.begin` in the
            first transaction that deletes events of a partition, and a row `retention`
            with their number in the last.
        report: called for each partition with its name, the number of events deleted
            (at least 1) and the seconds it took.

    Returns:
        Number of events deleted; None if another process holds the lease.

    Raises:
        UnavailableError: the database did not answer in time; call it again to go on.
    """
    holder = new_holder()
    before = limit.before(datetime.now(UTC))
    if not await _ask(engine, partial(_take_lease, holder=holder)):
        return None
    buckets = await _ask(engine, read_buckets)
    deleted = 0
    for partition in await _ask(
        engine, partial(_partitions, limit=limit, before=before)
    ):
        began = time.monotonic()
        run = _Run(partition, limit, before, buckets, actor=actor, holder=holder)
        await _expire_partition(engine, run)
        if run.deleted:
            report(partition, run.deleted, time.monotonic() - began)
        deleted += run.deleted
    await _ask(engine, partial(_end_lease, holder=holder))
    return deleted


async def _expire_partition(engine: AsyncEngine, run: _Run) -> None:
    place: int | None = 0
    while place is not None:
        began = time.monotonic()
        gone, place = await _ask(engine, partial(_expire_some, run=run, place=place))
        run.deleted += gone
        if gone:
            await asyncio.sleep(time.monotonic() - began)


async def _expire_some(
    connection: AsyncConnection, *, run: _Run, place: int
) -> tuple[int, int | None]:
    """Delete some events at a place; returns how many, and the next place.

    A place is a block of the partition, or on Citus an index of the buckets. There is
    none after the last one, nor once the lease was lost.
    """
    if not await _take_lease(connection, holder=run.holder):
        return 0, None
    # By the timestamp only older events are deleted, else the whole week.
    before = run.before if run.limit.basis == "timestamp" else None
    values: dict[str, Any] = {"partition": run.partition, "before": before}
    numbers = run.buckets.numbers
    following: int | None
    if run.buckets.is_one:
        values |= {"block": place, "blocks": _BLOCKS}
        gone, following = (await connection.execute(_EXPIRE, values)).one()
    else:
        values |= {"bucket": numbers[place], "events": _EVENTS}
        gone = await connection.scalar(_EXPIRE_BUCKET, values)
        following = place if gone else place + 1
        if following == len(numbers):
            following = None
    if gone and not run.deleted:
        await run.record(connection, "retention.begin")
    if following is None and run.deleted:
        await run.record(connection, "retention", events=run.deleted)
    return gone, following


async def _partitions(
    connection: AsyncConnection, limit: Limit, before: datetime
) -> list[str]:
    """Names of the partitions that can hold expired events, oldest first."""
    names = await connection.scalars(_PARTITIONS)
    return [
        name
        for name in names
        if limit.basis == "timestamp" or _monday_of(name) + timedelta(weeks=1) <= before
    ]


def _monday_of(partition: str) -> datetime:
    return datetime.strptime(partition[-8:], "%Y%m%d").replace(tzinfo=UTC)


_take_lease = partial(take_lease, name=_LEASE, seconds=_LEASE_S)
_end_lease = partial(end_lease, name=_LEASE)
_ask = partial(ask, timeout_s=_TIMEOUT_S, failure=_FAILURE)

"""Retention: deletes events older than a limit, a few blocks per transaction.

A row and its id in `event_ids` are deleted together, so an event that is sent again
later is stored again and never answered `duplicate`. Ids of erased events have no row
and stay. One process at a time runs it; an interrupted run continues with the next.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.leases import end_lease, new_holder, take_lease
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
SELECT relname AS partition, pg_total_relation_size(inhrelid) AS bytes
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
        partition: name of the table.
        monday: first day of the week of `stored_at`, at midnight UTC.
        events: number of expired events in it.
        bytes: size of the table and its indexes.
    """

    partition: str
    monday: datetime
    events: int
    bytes: int


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


async def expired_weeks(
    connection: AsyncConnection, *, limit: Limit, now: datetime
) -> list[Week]:
    """Count the expired events of each partition, oldest first.

    Args:
        connection: in a transaction, with a role that may read `events`.
        limit: the maximum age.
        now: aware UTC.
    """
    before = limit.before(now)
    weeks = []
    for partition, size in await _partitions(connection, limit, before):
        found = await connection.scalar(
            text(f"SELECT count(*) FROM {partition} WHERE {_condition(limit)}"),  # noqa: S608 - the name matched the pattern of a partition
            {"before": before},
        )
        if found:
            weeks.append(Week(partition, _monday_of(partition), found, size))
    return weeks


async def expire_events(
    engine: AsyncEngine,
    *,
    limit: Limit,
    report: Callable[[str, int, float], None],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int | None:
    """Delete all expired events, unless another process does so now.

    Pauses after each transaction for as long as it took, so that writers keep at least
    half of the disk.

    Args:
        engine: of a role that may execute `rollcall_expire_events`.
        limit: the maximum age.
        report: called for each partition with its name, the number of events deleted
            (at least 1) and the seconds it took.
        clock: aware UTC.

    Returns:
        Number of events deleted; None if another process holds the lease.

    Raises:
        UnavailableError: the database did not answer in time; call it again to go on.
    """
    holder = new_holder()
    before = limit.before(clock())
    if not await _ask(engine, partial(_take_lease, holder=holder)):
        return None
    buckets = await _ask(engine, read_buckets)
    deleted = 0
    for partition, _ in await _ask(
        engine, partial(_partitions, limit=limit, before=before)
    ):
        began = time.monotonic()
        oldest = before if limit.basis == "timestamp" else None
        if buckets.is_one:
            gone = await _expire_partition(
                engine, partition, before=oldest, holder=holder
            )
        else:
            gone = await _expire_buckets(
                engine, partition, buckets=buckets, before=oldest, holder=holder
            )
        if gone:
            report(partition, gone, time.monotonic() - began)
        deleted += gone
    await _ask(engine, partial(_end_lease, holder=holder))
    return deleted


async def _expire_partition(
    engine: AsyncEngine, partition: str, *, before: datetime | None, holder: str
) -> int:
    block: int | None = 0
    deleted = 0
    while block is not None:
        began = time.monotonic()
        step = await _ask(
            engine,
            partial(
                _expire_blocks,
                partition=partition,
                block=block,
                before=before,
                holder=holder,
            ),
        )
        if step is None:
            break
        gone, block = step
        deleted += gone
        if gone:
            await asyncio.sleep(time.monotonic() - began)
    return deleted


async def _expire_blocks(
    connection: AsyncConnection,
    *,
    partition: str,
    block: int,
    before: datetime | None,
    holder: str,
) -> tuple[int, int | None] | None:
    """Delete one range of blocks; None if the lease was lost."""
    if not await _take_lease(connection, holder=holder):
        return None
    row = (
        await connection.execute(
            _EXPIRE,
            {
                "partition": partition,
                "block": block,
                "blocks": _BLOCKS,
                "before": before,
            },
        )
    ).one()
    return row.expired, row.next_block


async def _expire_buckets(
    engine: AsyncEngine,
    partition: str,
    *,
    buckets: Buckets,
    before: datetime | None,
    holder: str,
) -> int:
    """Delete the expired events of a week on Citus, some of a bucket at a time."""

    async def expire(connection: AsyncConnection, bucket: int) -> int:
        if not await _take_lease(connection, holder=holder):
            return 0
        gone: int = await connection.scalar(
            _EXPIRE_BUCKET,
            {
                "partition": partition,
                "bucket": bucket,
                "events": _EVENTS,
                "before": before,
            },
        )
        return gone

    deleted = 0
    for bucket in buckets.numbers:
        began = time.monotonic()
        while gone := await _ask(engine, partial(expire, bucket=bucket)):
            deleted += gone
            await asyncio.sleep(time.monotonic() - began)
            began = time.monotonic()
    return deleted


async def _partitions(
    connection: AsyncConnection, limit: Limit, before: datetime
) -> list[tuple[str, int]]:
    """The partitions that can hold expired events: name and bytes, oldest first."""
    rows = await connection.execute(_PARTITIONS)
    return [
        (row.partition, row.bytes)
        for row in rows
        if limit.basis == "timestamp"
        or _monday_of(row.partition) + timedelta(weeks=1) <= before
    ]


def _condition(limit: Limit) -> str:
    return (
        '"timestamp" < :before' if limit.basis == "timestamp" else "stored_at < :before"
    )


def _monday_of(partition: str) -> datetime:
    return datetime.strptime(partition[-8:], "%Y%m%d").replace(tzinfo=UTC)


_take_lease = partial(take_lease, name=_LEASE, seconds=_LEASE_S)
_end_lease = partial(end_lease, name=_LEASE)
_ask = partial(ask, timeout_s=_TIMEOUT_S, failure=_FAILURE)

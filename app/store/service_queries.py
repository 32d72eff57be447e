"""Queries of the service besides storing events, each with its own time limit."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.logs import fields
from app.request_errors import UnavailableError
from app.store.instances import record_instance
from app.store.keys import lookups
from app.store.keys.snapshot_file import live_keys
from app.store.lifecycle.audit import SERVICE, expire_audit, record_action
from app.store.lifecycle.retention import Limit, expire_events
from app.store.migrations import check_schema
from app.store.operator.rights import missing_rights
from app.store.quarantine.retention import expire_rejected
from app.store.query import ask
from app.store.shards.buckets import reach_bucket, read_buckets
from app.store.write.partitions import ensure_partitions, weeks_ahead

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_UPKEEP_S = 60.0
_INSTANCE_S = 10.0
_KEY_FAILURE = "The key could not be looked up in time; send this again."
_KEYS_FAILURE = "The keys could not be read."
_SESSION = text(
    "SELECT current_setting('transaction_read_only') = 'on' AS is_read_only,"
    " current_setting('synchronous_commit') AS synchronous_commit"
)


async def check_ready(connection: AsyncConnection) -> None:
    """Check that events can be stored now.

    Raises:
        UnavailableError: the database is read-only, or refuses.
        SchemaError: its schema is older than this code needs.
    """
    await check_schema(connection)
    session = (await connection.execute(_SESSION)).one()
    if session.is_read_only:
        # A session stays read-only when the database no longer is.
        await connection.invalidate()
        raise UnavailableError(
            "The database is read-only.", reason="database is read-only"
        )
    if session.synchronous_commit != "on":
        raise UnavailableError(
            "Commits would not be durable: synchronous_commit is"
            f" {session.synchronous_commit}. A pooler drops the session settings: set"
            " ROLLCALL_POOLER=transaction.",
            reason="commits are not durable",
        )
    if missing := await missing_rights(connection):
        raise UnavailableError(
            "The database refuses to store events.",
            reason=f"permission denied: no {missing[0]}",
        )


async def record_reads(
    connection: AsyncConnection, reads: Mapping[str, Mapping[str, int]]
) -> None:
    """Add a row to the audit log for each key that read payloads.

    Args:
        connection: in the caller's transaction.
        reads: number of requests by key id and path.
    """
    for id_, paths in reads.items():
        await record_action(
            connection,
            "read",
            actor=f"key:{id_}",
            requests=sum(paths.values()),
            paths=dict(paths),
        )


def _query(
    work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
    failure: str,
    within_s: float | None = None,
) -> "Callable[Concatenate[ServiceQueries, P], Awaitable[T]]":
    """A method that does work in a transaction of its own, with the same arguments.

    Args:
        work: in the caller's transaction.
        failure: message of the UnavailableError.
        within_s: time limit; by default that of a query.
    """

    async def method(
        self: "ServiceQueries", /, *args: P.args, **options: P.kwargs
    ) -> T:
        return await ask(
            self.engine,
            lambda connection: work(connection, *args, **options),
            timeout_s=within_s or self.timeout_s,
            failure=failure,
        )

    return method


def _batches(
    work: Callable[Concatenate[AsyncConnection, P], Awaitable[int]], failure: str
) -> "Callable[Concatenate[ServiceQueries, P], Awaitable[int]]":
    """As `_query`, for work that is done again until it returns 0; the sum of all."""
    once = _query(work, failure, _UPKEEP_S)

    async def method(
        self: "ServiceQueries", /, *args: P.args, **options: P.kwargs
    ) -> int:
        total = 0
        while count := await once(self, *args, **options):
            total += count
        return total

    return method


class ServiceQueries:
    """Queries of the service, documented at the functions that do the work.

    Each method raises UnavailableError if the database does not respond in time or
    refuses.

    Args:
        engine: shared with the writer; each query uses one connection.
        timeout_s: time limit of one query; maintenance has a minute.
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self.engine = engine
        self.timeout_s = timeout_s

    check_ready = _query(check_ready, "The database does not respond.")
    source_of_key = _query(lookups.find_source, _KEY_FAILURE)
    reader_of_key = _query(lookups.find_reader, _KEY_FAILURE)
    has_write_keys = _query(lookups.has_write_keys, _KEYS_FAILURE)
    live_keys = _query(live_keys, _KEYS_FAILURE)
    buckets = _query(read_buckets, "The buckets could not be read.")
    check_bucket = _query(reach_bucket, "The server of a bucket does not respond.")
    record_use = _query(
        lookups.record_use, "The use of keys could not be recorded.", _UPKEEP_S
    )
    record_reads = _query(
        record_reads, "The audit log could not be written.", _UPKEEP_S
    )
    record_instance = _query(
        record_instance, "The instance could not be recorded.", _INSTANCE_S
    )
    weeks_ahead = _query(weeks_ahead, "The partitions could not be counted.", _UPKEEP_S)
    make_partitions = _query(
        ensure_partitions, "The partitions could not be made.", _UPKEEP_S
    )
    expire_audit = _batches(
        expire_audit, "Old months of the audit log could not be deleted."
    )
    expire_rejected = _batches(
        expire_rejected, "Expired rejected events could not be deleted."
    )

    async def expire_events(self, *, limit: Limit) -> int:
        """Delete expired events, unless another process does so; returns how many."""

        def report(partition: str, events: int, seconds: float) -> None:
            log.info(
                "retention: events deleted",
                extra=fields(
                    partition=partition, events=events, seconds=round(seconds, 1)
                ),
            )

        deleted = await expire_events(
            self.engine, limit=limit, actor=SERVICE, report=report
        )
        return deleted or 0

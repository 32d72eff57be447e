"""Queries of the service besides storing events, each with its own time limit."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.logs import fields
from app.request_errors import UnavailableError
from app.store.keys.lookups import find_reader, find_source, has_write_keys, record_use
from app.store.keys.scopes import Reader
from app.store.keys.snapshot_file import LiveKey, live_keys
from app.store.lifecycle.audit import SERVICE, expire_audit, record_action
from app.store.lifecycle.retention import Limit, expire_events
from app.store.migrations import check_schema
from app.store.operator.rights import missing_rights
from app.store.quarantine.retention import expire_rejected
from app.store.query import ask
from app.store.shards.buckets import Buckets, reach_bucket, read_buckets
from app.store.write.partitions import ensure_partitions, weeks_ahead

log = logging.getLogger(__name__)

_UPKEEP_TIMEOUT_S = 60.0
_KEY_FAILURE = "The key could not be looked up in time; send this again."
_KEYS_FAILURE = "The keys could not be read."
_SESSION = text(
    "SELECT current_setting('transaction_read_only') = 'on' AS is_read_only,"
    " current_setting('synchronous_commit') AS synchronous_commit"
)


class ServiceQueries:
    """Queries of the service.

    Each method raises UnavailableError if the database does not respond in time or
    refuses.

    Args:
        engine: shared with the writer; each query uses one connection.
        timeout_s: time limit of one query; maintenance has a minute.
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._engine = engine
        self._ask = partial(ask, engine, timeout_s=timeout_s)
        self._maintain = partial(ask, engine, timeout_s=_UPKEEP_TIMEOUT_S)

    async def source_of_key(self, key_hash: bytes) -> str | None:
        """The source of a live write key; None for every other key."""
        find = partial(find_source, key_hash=key_hash)
        return await self._ask(find, failure=_KEY_FAILURE)

    async def reader_of_key(self, key_hash: bytes) -> Reader | None:
        """The holder of a live key other than a write key; None for the rest."""
        find = partial(find_reader, key_hash=key_hash)
        return await self._ask(find, failure=_KEY_FAILURE)

    async def has_write_keys(self) -> bool:
        """Whether any live write key exists."""
        return await self._ask(has_write_keys, failure=_KEYS_FAILURE)

    async def live_keys(self) -> list[LiveKey]:
        """All keys that have not been revoked."""
        return await self._ask(live_keys, failure=_KEYS_FAILURE)

    async def record_use(self, hashes: list[bytes], ids: list[str]) -> int:
        """Record today as the day of the last use of keys; returns how many changed.

        Args:
            hashes: hashes of keys.
            ids: ids of keys with a browser session in use.
        """
        return await self._maintain(
            partial(record_use, hashes=hashes, ids=ids),
            failure="The use of keys could not be recorded.",
        )

    async def record_reads(self, reads: Mapping[str, Mapping[str, int]]) -> None:
        """Add a row to the audit log for each key that read payloads.

        Args:
            reads: number of requests by key id and path.
        """

        async def insert(connection: AsyncConnection) -> None:
            for id_, paths in reads.items():
                await record_action(
                    connection,
                    "read",
                    actor=f"key:{id_}",
                    requests=sum(paths.values()),
                    paths=dict(paths),
                )

        await self._maintain(insert, failure="The audit log could not be written.")

    async def check_ready(self) -> None:
        """Check that events can be stored now.

        Raises:
            UnavailableError: the database does not respond, or is read-only.
            SchemaError: its schema is older than this code needs.
        """
        await self._ask(_check_ready, failure="The database does not respond.")

    async def buckets(self) -> Buckets:
        """The buckets of the database."""
        return await self._ask(read_buckets, failure="The buckets could not be read.")

    async def check_bucket(self, bucket: int) -> None:
        """Check that the server of a bucket responds."""
        await self._ask(
            partial(reach_bucket, bucket=bucket),
            failure="The server of a bucket does not respond.",
        )

    async def weeks_ahead(self) -> int:
        """Number of future weeks that have a partition."""
        return await self._maintain(
            weeks_ahead, failure="The partitions could not be counted."
        )

    async def make_partitions(self) -> int:
        """Make the partitions of the weeks ahead; returns how many were new."""
        return await self._maintain(
            ensure_partitions, failure="The partitions could not be made."
        )

    async def expire_audit(self, *, days: int) -> int:
        """Delete old months of the audit log, in batches; returns how many rows."""
        return await self._in_batches(
            partial(expire_audit, days=days),
            failure="Old months of the audit log could not be deleted.",
        )

    async def expire_rejected(self, *, days: int) -> int:
        """Delete rejected events that are older; returns how many.

        It uses small transactions and skips locked rows, so nobody waits for it.
        """
        return await self._in_batches(
            partial(expire_rejected, days=days),
            failure="Expired rejected events could not be deleted.",
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
            self._engine, limit=limit, actor=SERVICE, report=report
        )
        return deleted or 0

    async def _in_batches(
        self, work: Callable[[AsyncConnection], Awaitable[int]], *, failure: str
    ) -> int:
        """Run work in transactions of its own until it returns 0; returns the sum."""
        total = 0
        while count := await self._maintain(work, failure=failure):
            total += count
        return total


async def _check_ready(connection: AsyncConnection) -> None:
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

"""Queries of the service besides storing events, each with its own time limit."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

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
from app.store.write.partitions import ensure_partitions

log = logging.getLogger(__name__)

T = TypeVar("T")


_UPKEEP_TIMEOUT_S = 60.0

_WEEKS_AHEAD = text(
    "SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
    " WHERE inhparent = 'events'::regclass AND relname ~ '^events_p[0-9]{8}$'"
    " AND to_date(right(relname, 8), 'YYYYMMDD') > (now() AT TIME ZONE 'UTC')::date"
)
_SESSION = text(
    "SELECT current_setting('transaction_read_only') = 'on' AS is_read_only,"
    " current_setting('synchronous_commit') AS synchronous_commit"
)


class ServiceQueries:
    """Queries of the service.

    Args:
        engine: shared with the writer; each query uses one connection.
        timeout_s: time limit of one query.
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s

    async def source_of_key(self, key_hash: bytes) -> str | None:
        """The source of a live write key; None for every other key.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._find(find_source, key_hash)

    async def reader_of_key(self, key_hash: bytes) -> Reader | None:
        """The holder of a live key that is not a write key; None for every other key.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._find(find_reader, key_hash)

    async def record_use(self, hashes: list[bytes], ids: list[str]) -> int:
        """Record today as the day of the last use of keys; returns how many changed.

        Args:
            hashes: hashes of keys.
            ids: ids of keys with a browser session in use.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._maintain(
            partial(record_use, hashes=hashes, ids=ids),
            "The use of keys could not be recorded.",
        )

    async def record_reads(self, reads: Mapping[str, Mapping[str, int]]) -> None:
        """Add a row to the audit log for each key that read payloads.

        Args:
            reads: number of requests by key id and path.

        Raises:
            UnavailableError: the database did not respond.
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

        await self._maintain(insert, "The audit log could not be written.")

    async def expire_audit(self, *, days: int) -> int:
        """Delete old months of the audit log, in batches; returns how many rows.

        Raises:
            UnavailableError: the database failed.
        """
        return await self._in_batches(
            partial(expire_audit, days=days),
            "Old months of the audit log could not be deleted.",
        )

    async def check_ready(self) -> None:
        """Check that events can be stored now.

        Raises:
            UnavailableError: the database does not respond, or is read-only.
            SchemaError: its schema is older than this code needs.
        """
        await self._ask(_check_ready, "The database does not respond.")

    async def buckets(self) -> Buckets:
        """The buckets of the database.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._ask(read_buckets, "The buckets could not be read.")

    async def check_bucket(self, bucket: int) -> None:
        """Check that the server of a bucket responds.

        Raises:
            UnavailableError: it does not respond.
        """
        await self._ask(
            partial(reach_bucket, bucket=bucket),
            "The server of a bucket does not respond.",
        )

    async def has_write_keys(self) -> bool:
        """Whether any live write key exists.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._ask(has_write_keys, "The keys could not be read.")

    async def live_keys(self) -> list[LiveKey]:
        """All keys that have not been revoked.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._ask(live_keys, "The keys could not be read.")

    async def weeks_ahead(self) -> int:
        """Return the number of future weeks that have a partition.

        Raises:
            UnavailableError: the database did not answer.
        """

        async def count(connection: AsyncConnection) -> int:
            return int(await connection.scalar(_WEEKS_AHEAD) or 0)

        return await self._maintain(count, "The partitions could not be counted.")

    async def make_partitions(self) -> int:
        """Make the partitions of the weeks ahead; returns how many were new.

        Raises:
            UnavailableError: the database failed.
        """
        return await self._maintain(
            ensure_partitions, "The partitions could not be made."
        )

    async def expire_rejected(self, *, days: int) -> int:
        """Delete rejected events that are older; returns how many.

        It uses small transactions and skips locked rows, so nobody waits for it.

        Raises:
            UnavailableError: the database failed before the end.
        """
        return await self._in_batches(
            partial(expire_rejected, days=days),
            "Expired rejected events could not be deleted.",
        )

    async def expire_events(self, *, limit: Limit) -> int:
        """Delete events older than the limit, unless another process does so now.

        Returns:
            Number of events deleted.

        Raises:
            UnavailableError: the database failed before the end.
        """

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

    async def _find(
        self, find: Callable[..., Awaitable[T | None]], key_hash: bytes
    ) -> T | None:
        return await self._ask(
            partial(find, key_hash=key_hash),
            "The key could not be looked up in time; send this again.",
        )

    async def _in_batches(
        self, work: Callable[[AsyncConnection], Awaitable[int]], failure: str
    ) -> int:
        """Run work in transactions of its own until it returns 0; returns the sum."""
        total = 0
        while count := await self._maintain(work, failure):
            total += count
        return total

    async def _ask(
        self, work: Callable[[AsyncConnection], Awaitable[T]], failure: str
    ) -> T:
        return await ask(self._engine, work, timeout_s=self._timeout_s, failure=failure)

    async def _maintain(
        self, work: Callable[[AsyncConnection], Awaitable[T]], failure: str
    ) -> T:
        return await ask(
            self._engine, work, timeout_s=_UPKEEP_TIMEOUT_S, failure=failure
        )


async def _check_ready(connection: AsyncConnection) -> None:
    await check_schema(connection)
    session = (await connection.execute(_SESSION)).one()
    if session.is_read_only:
        # A session stays read-only when the database no longer is.
        await connection.invalidate()
        raise UnavailableError(
            "The database is read-only.",
            reason="database is read-only",
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

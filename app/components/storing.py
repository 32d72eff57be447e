"""The parts that store events: in an outage, and in several buckets."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.settings import Settings
from app.store.engine import create_engine, watch_pool
from app.store.journal.drain import Drain
from app.store.journal.fallback import OfflineBuffer, journal_directory, prepare_journal
from app.store.journal.journal import Journal, prepare
from app.store.keys.live_keys import LiveKeys
from app.store.keys.snapshot_file import KeySnapshotFile
from app.store.service_queries import ServiceQueries
from app.store.shards.buckets import Buckets
from app.store.shards.committer import BucketCommitter
from app.store.write.committer import Committer
from app.store.write.writer import Writer

# Each bucket needs the writer's, and one for its drain or the check before it.
_CONNECTIONS = 2
# Of the commit timeout. The first statements of a connection to Citus take longest; if
# they take too long, there is time to try again on the same connection.
_STATEMENT_SHARE = 0.6


def outage_buffer(
    settings: Settings,
    *,
    committer: Committer,
    check: Callable[[], Awaitable[None]],
    lookups: ServiceQueries,
    metrics: Metrics,
) -> OfflineBuffer | None:
    """The parts of one process that work without Postgres; None without a journal.

    The committer drains the journal; the writer has another.

    Raises:
        ConfigurationError: the journal is required and cannot be kept.
    """
    if not prepare_journal(settings.data_dir, wanted=settings.journal):
        return None
    return OfflineBuffer(
        Drain(
            Journal(
                journal_directory(settings.data_dir),
                max_bytes=settings.journal_max_bytes,
            ),
            committer=committer,
            check=check,
        ),
        known_keys=LiveKeys(
            KeySnapshotFile(settings.data_dir),
            lookups.live_keys,
            trust_s=settings.key_cache_seconds,
        ),
        metrics=metrics,
    )


@dataclass(kw_only=True)
class LaneFactory:
    """Makes the lane of each bucket, on a pool of connections of their own."""

    url: str
    settings: Settings
    metrics: Metrics
    committer_options: Callable[[], dict[str, Any]]
    outage: OfflineBuffer | None
    _close: Callable[[], Awaitable[None]] | None = field(init=False, default=None)

    def open(self, buckets: Buckets) -> dict[int, Writer]:
        """Make the lanes, which are still to be started.

        Raises:
            UnavailableError: the directory of a bucket's journal cannot be made or
                written. Nothing was opened; a later call may succeed.
        """
        directory = journal_directory(self.settings.data_dir)
        directories = {each: directory / f"bucket-{each}" for each in buckets.numbers}
        if self.outage is not None:
            _prepare(directories.values())
        engine = create_engine(
            self.url,
            pool_size=_CONNECTIONS * len(buckets.numbers),
            command_timeout_s=_STATEMENT_SHARE * self.settings.commit_timeout_seconds,
        )
        self._close = engine.dispose
        watch_pool(engine, self.metrics, name="buckets")
        lookups = ServiceQueries(engine, timeout_s=self.settings.lookup_timeout_seconds)

        def committer() -> BucketCommitter:
            return BucketCommitter(engine, buckets=buckets, **self.committer_options())

        def lane(bucket: int) -> Writer:
            if self.outage is None:
                return Writer(committer())
            max_bytes = self.settings.journal_max_bytes // len(buckets.numbers)
            drain = Drain(
                Journal(directories[bucket], max_bytes=max_bytes),
                committer=committer(),
                check=partial(lookups.check_bucket, bucket),
            )
            self.outage.include(drain)
            return Writer(committer(), drain=drain)

        return {bucket: lane(bucket) for bucket in buckets.numbers}

    async def close(self) -> None:
        """Close the connections."""
        if self._close is not None:
            await self._close()


def _prepare(directories: Iterable[Path]) -> None:
    for directory in directories:
        try:
            prepare(directory)
        except OSError as error:
            raise UnavailableError(
                "The journal of a bucket cannot be kept.",
                reason=f"journal {directory.name}: {error.strerror}",
            ) from error

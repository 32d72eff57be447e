"""The lanes of a distributed database: a writer for each bucket."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from app.metrics.counters import Metrics
from app.settings import Settings
from app.store.engine import create_engine, watch_pool
from app.store.journal.fallback import OfflineBuffer, journal_directory
from app.store.service_queries import ServiceQueries
from app.store.shards.buckets import Buckets
from app.store.shards.committer import BucketCommitter
from app.store.shards.lanes import BucketBuffer, Lane

# Each bucket needs the writer's, and one for its drain or the check before it.
_CONNECTIONS = 2
_CHECK_TIMEOUT_S = 1.0
# Of the commit timeout. The first statements of a connection to Citus take longest; if
# they take too long, there is time to try again on the same connection.
_STATEMENT_SHARE = 0.6


class LaneFactory:
    """Makes the lane of each bucket, on a pool of connections of their own.

    Args:
        url: of the database.
        settings: its time limits, and the room of the journals.
        metrics: of this worker.
        committer_options: returns the options of a new committer.
        outage: has the first journal; None without journals.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        metrics: Metrics,
        committer_options: Callable[[], dict[str, Any]],
        outage: OfflineBuffer | None,
    ) -> None:
        self._url = url
        self._settings = settings
        self._metrics = metrics
        self._committer_options = committer_options
        self._outage = outage
        self._close: Callable[[], Awaitable[None]] | None = None

    def open(self, buckets: Buckets) -> dict[int, Lane]:
        """Make the lanes, which are still to be started."""
        engine = create_engine(
            self._url,
            pool_size=_CONNECTIONS * len(buckets.numbers),
            command_timeout_s=_STATEMENT_SHARE * self._settings.commit_timeout_seconds,
        )
        self._close = engine.dispose
        watch_pool(engine, self._metrics, name="buckets")
        lookups = ServiceQueries(engine, timeout_s=_CHECK_TIMEOUT_S)

        def committer() -> BucketCommitter:
            return BucketCommitter(engine, buckets=buckets, **self._committer_options())

        def lane(bucket: int) -> Lane:
            if self._outage is None:
                return Lane(committer(), None)
            buffer = BucketBuffer(
                journal_directory(self._settings.data_dir) / f"bucket-{bucket}",
                max_bytes=self._settings.journal_max_bytes // len(buckets.numbers),
                committer=committer(),
                check=partial(lookups.check_bucket, bucket),
            )
            self._outage.include(buffer)
            return Lane(committer(), buffer)

        return {bucket: lane(bucket) for bucket in buckets.numbers}

    async def close(self) -> None:
        """Close the connections."""
        if self._close is not None:
            await self._close()

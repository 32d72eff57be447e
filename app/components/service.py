"""The parts of the service: built from the settings, started and stopped together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from operator import methodcaller
from typing import Any

from app.access.key_cache import KeyCache
from app.access.origin import RequestOrigin
from app.api.health import Readiness
from app.api.metrics import metrics_routes
from app.components.access_recorder import AccessRecorder
from app.components.console import ConsoleComponents
from app.components.database import database_url, read_url
from app.components.instances import InstanceReport
from app.components.live import LiveComponents
from app.components.policy import event_policy, make_quarantine
from app.components.readers import ReadComponents
from app.components.storing import LaneFactory, outage_buffer
from app.errors import ConfigurationError
from app.events.catalog import Catalog
from app.http.descriptors import max_connections
from app.http.monitor import ConnectionMonitor
from app.http.timeouts import ConnectionLimits
from app.ingest.services import IngestServices, TrackLimits
from app.logs import RequestLog, fields
from app.metrics.catalog import BODIES_WAITING, WEEKS_AHEAD
from app.metrics.collector import totals
from app.metrics.counters import Metrics
from app.pages.console.state import StateReader
from app.request_errors import UnavailableError
from app.settings import Settings
from app.store.engine import HostWatch, create_engine, watch_pool
from app.store.leases import Task, once_an_hour
from app.store.lifecycle.email_index import index_closed_weeks
from app.store.lifecycle.retention import Limit
from app.store.maintenance import HOUR_S, MINUTE_S, on_own_connection, run_every
from app.store.quarantine.caps import Quarantine, record_fill
from app.store.service_queries import ServiceQueries
from app.store.shards.lanes import BucketWriters, RoutingCommitter
from app.store.write.committer import Committer
from app.store.write.writer import Writer

log = logging.getLogger(__name__)

# Bodies of SDKs that send their key in the body have 500 KB at most.
_MAX_UNAUTHENTICATED_BYTES = 1024 * 1024


class Service:
    """All parts that live as long as the app; started in order, stopped in reverse."""

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics,
        catalog: Catalog,
        requests: RequestLog,
    ) -> None:
        url = database_url(settings)
        if url is None:
            raise ConfigurationError(
                "ROLLCALL_DATABASE_URL is not set; `rollcall serve` runs a Postgres "
                "of its own, a bare app needs one."
            )
        self._engine = create_engine(
            url,
            command_timeout_s=settings.commit_timeout_seconds,
            on_host=HostWatch(metrics, name="writing"),
        )
        self.metrics = metrics
        self.live = LiveComponents(
            read_url(settings, default=url),
            commit_s=settings.commit_timeout_seconds,
            catalog=catalog,
        )
        self.console = ConsoleComponents(
            url, event_policy(settings, catalog), data_dir=settings.data_dir
        )
        self._lookups = ServiceQueries(
            self._engine, timeout_s=settings.lookup_timeout_seconds
        )
        self._recorder = AccessRecorder(self._lookups, metrics)
        self._quarantines: list[Quarantine] = []
        options = partial(self._committer_options, settings)
        drains = RoutingCommitter(self._engine, **options())
        self._outage = outage_buffer(
            settings,
            committer=drains,
            check=self._check_ready,
            lookups=self._lookups,
            metrics=metrics,
        )
        self.reading = ReadComponents(
            url,
            settings,
            metrics=self.metrics,
            outage=self._outage,
            on_read=self._recorder.count_read,
        )
        self._lanes = LaneFactory(
            url=url,
            settings=settings,
            metrics=metrics,
            committer_options=options,
            outage=self._outage,
        )
        self._writer = drains.writers = BucketWriters(
            Writer(
                Committer(self._engine, **options()),
                drain=self._outage.drain if self._outage else None,
            ),
            read_buckets=self._lookups.buckets,
            open_lanes=self._lanes.open,
        )
        self._drain_s = settings.drain_timeout_seconds
        self.instances = InstanceReport(
            settings,
            declarations=catalog.digest,
            report=self._lookups.record_instance,
            metrics=self.metrics,
        )
        self._hourly = self._maintenance(settings, url)
        self.monitor = ConnectionMonitor(
            ConnectionLimits(
                header_s=settings.header_timeout_seconds,
                body_s=settings.body_timeout_seconds,
                write_s=settings.write_timeout_seconds,
            ),
            self.metrics,
            max_connections=max_connections(),
            on_stop=(self.live.feed.end, self.console.replays.end),
        )
        self.readiness = Readiness(
            self._check_ready,
            has_write_keys=self._lookups.has_write_keys,
            lookup_s=settings.lookup_timeout_seconds,
            commit_s=settings.commit_timeout_seconds,
            refusal=lambda: self._writer.refusal,
            outage=self._outage,
        )
        self.state_reader = StateReader(self.readiness.ask, partial(totals, metrics))
        senders = KeyCache(
            self._lookups.source_of_key,
            trust_s=settings.key_cache_seconds,
            known=self._outage.known_keys.source_of if self._outage else None,
        )
        self._recorder.watch(senders.take_used, self.reading.keys.take_used)
        self.ingest = IngestServices(
            key_cache=senders,
            writer=self._writer,
            policy=event_policy(settings, catalog),
            limits=TrackLimits(
                max_bytes=settings.max_body_bytes,
                max_events=settings.max_body_events,
                max_values=settings.max_body_values,
                inflight_bytes=settings.max_inflight_bytes,
                unauthenticated_bytes=settings.unauthenticated_bytes,
                max_unauthenticated_bytes=_MAX_UNAUTHENTICATED_BYTES,
                answer_s=settings.answer_timeout_seconds,
                slots=settings.max_inflight_requests,
            ),
            metrics=self.metrics,
            requests=requests,
            origin=RequestOrigin(settings.proxy_networks),
        )
        self.metrics_routes = metrics_routes(
            self.reading.keys,
            metrics=self.metrics,
            check_database=self._lookups.check_ready,
        )
        watch_pool(self._engine, self.metrics, name="writing")
        self.metrics.register_gauges({BODIES_WAITING: lambda: self._writer.waiting})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept events until the context ends; then store the queued ones.

        Raises:
            SchemaError: the schema is older than this code needs. A database that
                does not answer is no reason not to start: it may come.
        """
        async with AsyncExitStack() as closing:
            closing.callback(self.metrics.publish)
            closing.push_async_callback(self._engine.dispose)
            for part in (self._lanes, self.reading, self.console, self.live):
                closing.push_async_callback(part.close)
            await self._start()
            chores = [asyncio.create_task(chore) for chore in self._chores()]
            try:
                yield
            finally:
                for chore in chores:
                    chore.cancel()
                await self.readiness.stop()
                await self._writer.stop()
                await self._recorder.flush()
                if self._outage is not None:
                    await self._outage.stop(within_s=self._drain_s)
                await self._writer.drain(within_s=self._drain_s)

    async def _start(self) -> None:
        reason: str | None = None
        try:
            await self._check_ready()
            self.readiness.confirm()
        except UnavailableError as error:
            reason = error.reason
            log.warning("not ready", extra=fields(reason=reason))
        if self._outage is not None:
            await self._outage.start(reason=reason)
        self._writer.start()

    def _chores(self) -> Iterator[Coroutine[Any, Any, None]]:
        for task, work in self._hourly.items():
            yield run_every(HOUR_S, task, work, metrics=self.metrics)
        yield run_every(
            MINUTE_S, "instances", self.instances.send, metrics=self.metrics
        )
        yield self._keep_publishing()
        yield self.monitor.run()
        yield self._recorder.run()

    def _maintenance(self, settings: Settings, url: str) -> dict[str, Task]:
        """The hourly tasks by their name in metrics."""
        own = partial(on_own_connection, url)
        shared: dict[str, Task] = {
            f"retention {settings.quarantine_retention_days}": partial(
                own,
                methodcaller(
                    "expire_rejected", days=settings.quarantine_retention_days
                ),
            ),
            "sessions": self.reading.sessions.expire,
            "indexes": partial(index_closed_weeks, url),
            f"audit {settings.audit_retention_days}": partial(
                own, methodcaller("expire_audit", days=settings.audit_retention_days)
            ),
        }
        if settings.retention_days is not None:
            limit = Limit(settings.retention_days, settings.retention_basis)
            shared[f"events {limit.days} {limit.basis}"] = partial(
                own, methodcaller("expire_events", limit=limit)
            )
        return {
            # Four weeks ahead; if this fails for a month, the writer mends it.
            "partitions": self._make_partitions,
            **{
                name.split()[0]: once_an_hour(name, work, engine=self._engine)
                for name, work in shared.items()
            },
        }

    async def _make_partitions(self) -> int:
        made = await self._lookups.make_partitions()
        self.metrics.set(WEEKS_AHEAD, to=await self._lookups.weeks_ahead())
        return made

    async def _check_ready(self) -> None:
        """Check that events can be stored, and find out into which buckets."""
        await self._lookups.check_ready()
        await self._writer.refresh()

    async def _keep_publishing(self) -> None:
        """Publish the metrics once a second, until cancelled."""
        while True:
            record_fill(self._quarantines, self.metrics)
            self.metrics.publish()
            await asyncio.sleep(1)

    def _committer_options(self, settings: Settings) -> dict[str, Any]:
        """Each counts as a worker of its own towards the caps of the quarantine."""
        self._quarantines.append(make_quarantine(settings))
        return {
            "timeout_s": settings.commit_timeout_seconds,
            "quarantine": self._quarantines[-1],
            "metrics": self.metrics,
        }

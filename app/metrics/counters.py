"""Counters and gauges of one worker process, published as a snapshot file.

Call the methods from the event loop's thread only: others may lose an addition.
"""

import asyncio
import logging
import mmap
import os
import secrets
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from itertools import product
from pathlib import Path
from platform import python_version

from app.metrics import catalog
from app.metrics.catalog import LABELS, MAX_SOURCES, METRICS, OTHER, Metric
from app.metrics.snapshots import SEPARATOR, Snapshot, write_snapshot

log = logging.getLogger(__name__)

_PUBLISH_INTERVAL_S = 1.0
# Unknown label values push others out, which are then resolved again.
_MAX_KEYS = 10_000
# Results of events that a source has delivered.
_ACCEPTED = {"stored", "duplicate", "buffered"}
_STATM = Path("/proc/self/statm")
# Values of a gauge by source.
SourceReader = Callable[[], Mapping[str, float]]


class Metrics:
    """Counters and gauges of this process.

    Args:
        labels: values of the labels that `LABELS` does not have.
        directory: for the snapshots of all workers; None if this process is alone.
    """

    def __init__(
        self,
        labels: Mapping[str, Iterable[str]] | None = None,
        directory: Path | None = None,
    ) -> None:
        self._sources: set[str] = set()
        self._values: dict[str, Collection[str]] = {"source": self._sources}
        for name, values in (LABELS | dict(labels or {})).items():
            self._values[name] = (*values, OTHER)
        # Keys of series by metric and label values, for speed.
        self._key_of = lru_cache(maxsize=_MAX_KEYS)(self._resolve)
        self.directory = directory
        # The supervisor finds the snapshot of a process by its id.
        self.snapshot_name = f"{os.getpid()}-{secrets.token_hex(8)}.json"
        self._counters: dict[str, float] = defaultdict(float)
        self._gauges: dict[str, float] = {}
        for metric in METRICS:
            figures = self._gauges if metric.kind == "gauge" else self._counters
            figures |= {_key(metric, *each): 0.0 for each in self.series(metric)}
        self._parts = {m.name: [_key(m, part) for part in m.parts] for m in METRICS}
        self._readers: dict[str, Callable[[], float]] = {}
        self._source_readers: list[tuple[Metric, SourceReader]] = []
        if _STATM.exists():
            self.register_gauges({catalog.MEMORY_BYTES: _resident_bytes})
        self.set(catalog.WORKERS, to=1)
        # Of the running code: an upgrade replaces the metadata on the disk.
        self.set(catalog.BUILD_INFO, version("rollcall"), python_version(), to=1)

    def series(self, metric: Metric) -> Iterable[tuple[str, ...]]:
        """Label values of all series of a metric, or the parts of a histogram."""
        sets = [self._values.get(name, (OTHER,)) for name in metric.labels]
        return product(metric.parts) if metric.parts else product(*sets)

    def count_request(
        self,
        route: str,
        status: int,
        seconds: float,
        counts: Mapping[str, int],
        source: str | None = None,
    ) -> None:
        """Count a request that sends events.

        Args:
            route: path of the route.
            status: HTTP status of the response.
            seconds: from the headers to the response.
            counts: number of its events by result.
            source: of its key; None if it has no valid one.
        """
        self._counters[self._key_of(catalog.REQUESTS, route, status)] += 1.0
        self.observe(catalog.REQUEST_SECONDS, seconds)
        for result, count in counts.items():
            self._counters[self._key_of(catalog.EVENTS, result)] += count
            if source is not None:
                key = self._key_of(catalog.SOURCE_EVENTS, source, result)
                self._counters[key] += count
                if result in _ACCEPTED:
                    key = self._key_of(catalog.SOURCE_LAST_EVENT, source)
                    self._gauges[key] = time.time()

    def add(self, metric: Metric, *values: str, amount: float = 1.0) -> None:
        """Add to a counter; unknown label values are counted as `other`."""
        self._counters[self._key_of(metric, *values)] += amount

    def observe(self, metric: Metric, value: float) -> None:
        """Add a value to a histogram."""
        keys = self._parts[metric.name]
        self._counters[keys[bisect_left(metric.buckets, value)]] += 1.0
        self._counters[keys[-1]] += value

    def set(self, metric: Metric, *values: str, to: float) -> None:
        """Set a gauge."""
        self._gauges[_key(metric, *values)] = to

    def register_gauges(
        self, readers: Mapping[Metric, Callable[[], float]], *values: str
    ) -> None:
        """Read these gauges at each `publish`; `values` are of their labels."""
        self._readers |= {_key(metric, *values): readers[metric] for metric in readers}

    def register_sources(self, metric: Metric, read: SourceReader) -> None:
        """Read a gauge of all sources at each `publish`."""
        self._source_readers.append((metric, read))

    def publish(self) -> Snapshot:
        """Read the gauges and write the snapshot; returns it."""
        for metric, read_sources in self._source_readers:
            for source, value in read_sources().items():
                self._gauges[self._key_of(metric, source)] = value
        for key, read in self._readers.items():
            try:
                self._gauges[key] = read()
            except Exception:  # a defect must not stop the snapshots
                log.exception("gauge could not be read")
                self._gauges[key] = 0.0
        self._counters[_key(catalog.CPU_SECONDS)] = time.process_time()
        snapshot = Snapshot(self._counters, self._gauges, time.monotonic())
        if self.directory is not None:
            try:
                write_snapshot(self.directory / self.snapshot_name, snapshot)
            except OSError:  # removed or full: taking events matters more
                log.exception("shared metrics unavailable, snapshots disabled")
                self.directory = None
        return snapshot

    async def keep_publishing(self) -> None:
        """Publish once a second, until cancelled."""
        while True:
            self.publish()
            await asyncio.sleep(_PUBLISH_INTERVAL_S)

    def _resolve(self, metric: Metric, *given: object) -> str:
        labels = []
        for name, value in zip(metric.labels, map(str, given), strict=True):
            if name == "source" and len(self._sources) < MAX_SOURCES:
                self._sources.add(value)
            known = value in self._values.get(name, ())
            labels.append(value.replace(SEPARATOR, " ") if known else OTHER)
        return _key(metric, *labels)


def _key(metric: Metric, *values: str) -> str:
    return SEPARATOR.join((metric.name, *values))


def _resident_bytes() -> int:
    """Resident memory of this process, from /proc."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE

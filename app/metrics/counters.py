"""Counters and gauges of one worker process, published as a snapshot file.

Call the methods from the event loop's thread only: others may lose an addition.
"""

import logging
import mmap
import os
import secrets
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import version
from itertools import product
from pathlib import Path
from platform import python_version

from app.metrics import catalog
from app.metrics.catalog import LABELS, METRICS, OTHER, SEPARATOR, Metric
from app.metrics.snapshots import Snapshot, write_snapshot

log = logging.getLogger(__name__)

# Results of events that a source has delivered.
_ACCEPTED = {"stored", "duplicate", "buffered"}
_STATM = Path("/proc/self/statm")


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
        closed = LABELS | dict(labels or {})
        self._values = {name: {*values, OTHER} for name, values in closed.items()}
        self._values["source"] = set()
        # Keys of series by metric and label values, for speed.
        self._key_of = cache(self._resolve)
        self.directory = directory
        # The supervisor finds the snapshot of a process by its id.
        self.snapshot_name = f"{os.getpid()}-{secrets.token_hex(8)}.json"
        self._counters: dict[str, float] = defaultdict(float)
        self._gauges: dict[str, float] = {}
        for metric in METRICS:
            figures = self._gauges if metric.kind == "gauge" else self._counters
            figures |= {metric.key(*each): 0.0 for each in self.series(metric)}
        self._parts = {each.name: [*map(each.key, each.parts)] for each in METRICS}
        self._readers: dict[str, Callable[[], float]] = {}
        if _STATM.exists():
            self.register_gauges({catalog.MEMORY_BYTES: _resident_bytes})
        self.set(catalog.WORKERS, to=1)
        # Of the running code: an upgrade replaces the metadata on the disk.
        self.set(catalog.BUILD_INFO, version("rollcall"), python_version(), to=1)

    def series(self, metric: Metric) -> Iterable[tuple[str, ...]]:
        """Label values of all series of a metric, or the parts of a histogram."""
        sets = [sorted(self._values.get(name, {OTHER})) for name in metric.labels]
        return product(metric.parts) if metric.parts else product(*sets)

    def count_request(
        self,
        route: str,
        status: int,
        seconds: float,
        counts: Mapping[str, int],
        source: str | None = None,
    ) -> None:
        """Count a request that sends events, and its events by their result.

        The seconds run from the headers to the response; the source is that of its key.
        """
        key_of = self._key_of
        self._counters[key_of(catalog.REQUESTS, route, status)] += 1.0
        self.observe(catalog.REQUEST_SECONDS, seconds)
        for result, count in counts.items():
            self._counters[key_of(catalog.EVENTS, result)] += count
            if source is not None:
                self._counters[key_of(catalog.SOURCE_EVENTS, source, result)] += count
                if result in _ACCEPTED:
                    key = key_of(catalog.SOURCE_LAST_EVENT, source)
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
        """Set a gauge; unknown label values share the series of `other`."""
        self._gauges[self._key_of(metric, *values)] = to

    def register_gauges(
        self, readers: Mapping[Metric, Callable[[], float]], *values: str
    ) -> None:
        """Read these gauges at each `publish`; `values` are of their labels."""
        self._readers |= {metric.key(*values): readers[metric] for metric in readers}

    def publish(self) -> Snapshot:
        """Read the gauges and write the snapshot; returns it."""
        for key, read in self._readers.items():
            try:
                self._gauges[key] = read()
            except Exception:  # a defect must not stop the snapshots
                log.exception("gauge could not be read")
                self._gauges[key] = 0.0
        self._counters[catalog.CPU_SECONDS.key()] = time.process_time()
        snapshot = Snapshot(self._counters, self._gauges, time.monotonic())
        if self.directory is not None:
            try:
                write_snapshot(self.directory / self.snapshot_name, snapshot)
            except OSError:  # removed or full: taking events matters more
                log.exception("shared metrics unavailable, snapshots disabled")
                self.directory = None
        return snapshot

    def _resolve(self, metric: Metric, *given: object) -> str:
        labels = []
        for name, value in zip(metric.labels, map(str, given), strict=True):
            known = self._values.get(name, {OTHER})
            if name == "source" and len(known) < catalog.MAX_SOURCES:
                known.add(value)
            is_known = value in known or name in catalog.OPEN_LABELS
            labels.append(value.replace(SEPARATOR, " ") if is_known else OTHER)
        return metric.key(*labels)


def _resident_bytes() -> int:
    """Resident memory of this process, from /proc."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE

"""What the rest of the code counts with: additions to this process's row.

For the event loop's thread only: an addition in another thread may be lost.
"""

import asyncio
import logging
import mmap
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path

from app.metrics import catalog
from app.metrics.board import Board
from app.metrics.catalog import Metric
from app.metrics.labels import OTHER
from app.metrics.layout import ALIVE_AT

log = logging.getLogger(__name__)

_PUBLISH_PAUSE_S = 1.0


class Meters:
    """Counts, for one process.

    Args:
        board: has this process's row.
    """

    def __init__(self, board: Board) -> None:
        layout = board.layout
        self._layout = layout
        self._row = board.take()
        self._reads: list[tuple[int, Callable[[], float]]] = []
        self._cpu_seconds = 0.0
        # Resolved once: a request adds to cells that it finds by one look-up.
        self._requests = {
            (route, int(status)): layout.cell(catalog.REQUESTS, route, status)
            for route, status in layout.series(catalog.REQUESTS)
            if status != OTHER
        }
        self._results = {
            result: layout.cell(catalog.EVENTS, result)
            for (result,) in layout.series(catalog.EVENTS)
        }
        self._other_result = self._results[OTHER]
        self._request_seconds = layout.cell(catalog.REQUEST_SECONDS)
        self.add(catalog.WORKER_CRASHES, amount=board.bury())
        for metric in catalog.METRICS:
            if metric.kind == "gauge":  # a predecessor's say nothing of this process
                for values in layout.series(metric):
                    self._row[layout.cell(metric, *values)] = 0.0

    def count_request(
        self, route: str, status: int, seconds: float, counts: Mapping[str, int]
    ) -> None:
        """Count a request at a door for events.

        Args:
            route: its path.
            status: of the answer.
            seconds: from the head to the answer.
            counts: its events by result.
        """
        row = self._row
        cell = self._requests.get((route, status))
        if cell is None:
            cell = self._layout.cell(catalog.REQUESTS, route, str(status))
        row[cell] += 1.0
        buckets = catalog.REQUEST_SECONDS.buckets
        first = self._request_seconds
        row[first + bisect_left(buckets, seconds)] += 1.0
        row[first + len(buckets) + 1] += seconds
        for result, count in counts.items():
            row[self._results.get(result, self._other_result)] += count

    def add(self, metric: Metric, *values: str, amount: float = 1.0) -> None:
        """Add to a counter.

        Args:
            metric: which.
            values: of its labels; one that is none of a label's is counted as other.
            amount: not negative.
        """
        self._row[self._layout.cell(metric, *values)] += amount

    def count_commit(self, events: int, seconds: float) -> None:
        """Count a transaction that was committed."""
        self.observe(catalog.COMMIT_EVENTS, events)
        self.observe(catalog.COMMIT_SECONDS, seconds)

    def observe(self, metric: Metric, value: float) -> None:
        """Add a value to a histogram without labels."""
        first = self._layout.cell(metric)
        self._row[first + bisect_left(metric.buckets, value)] += 1.0
        self._row[first + len(metric.buckets) + 1] += value

    def set(self, metric: Metric, *values: str, to: float) -> None:
        """Set a gauge."""
        self._row[self._layout.cell(metric, *values)] = to

    def watch(self, reads: Mapping[Metric, Callable[[], float]], *values: str) -> None:
        """Have gauges read whenever `publish` is called.

        Args:
            reads: what reads each.
            values: of their labels.
        """
        self._reads += [
            (self._layout.cell(metric, *values), read) for metric, read in reads.items()
        ]

    def publish(self) -> None:
        """Say that this worker lives, and how it stands."""
        row = self._row
        for cell, read in self._reads:
            row[cell] = _reading(read)
        cpu_seconds = time.process_time()
        self.add(catalog.CPU_SECONDS, amount=cpu_seconds - self._cpu_seconds)
        self._cpu_seconds = cpu_seconds
        self.set(catalog.MEMORY_BYTES, to=_resident_bytes())
        row[ALIVE_AT] = time.monotonic()

    async def keep_publishing(self) -> None:
        """Publish once a second, until cancelled."""
        while True:
            self.publish()
            # By the clock, as it says that this worker lives, whatever else happens.
            await asyncio.sleep(_PUBLISH_PAUSE_S)

    def leave(self) -> None:
        """Say that this worker lives no more."""
        self._row[ALIVE_AT] = 0.0


def _reading(read: Callable[[], float]) -> float:
    try:
        return read()
    except Exception:
        # A defect: without this the worker would be held for dead.
        log.exception("a gauge could not be read")
        return 0.0


def _resident_bytes() -> int:
    """Of this process, on Linux; 0 elsewhere."""
    try:
        resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(resident) * mmap.PAGESIZE

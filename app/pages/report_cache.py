"""Report cache: each set of reports runs seldom, and one at a time, for all readers.

Loading a page again and again costs Postgres nothing. While the database does not
respond, the last results stay available with their time.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.request_errors import UnavailableError
from app.store.read.reports import Report, ReportRunner

# A result is reused for this long, or for twenty times its duration: reports use at
# most a twentieth of one connection's time.
_REUSE_S = 10.0
_REST = 20
_NO_RESPONSE = "The database does not respond."


class Results(NamedTuple):
    """Results of a set of reports.

    Attributes:
        rows: of each report by its name; None if it did not finish in time.
        at: when the last report finished.
        took_s: duration of all, in seconds.
    """

    rows: Mapping[str, list[dict[str, Any]] | None]
    at: datetime
    took_s: float


class ReportCache:
    """Runs one set of reports and keeps the results.

    Args:
        runner: runs a report.
        reports: the set, by name.
        lock: held while reports run; caches that share one take turns.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        runner: ReportRunner,
        reports: Mapping[str, Report],
        *,
        lock: asyncio.Lock | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._reports = reports
        self._clock = clock
        self._lock = lock or asyncio.Lock()
        self._results: Results | None = None
        self._reuse_until = self._failed_at = float("-inf")

    @property
    def last(self) -> Results | None:
        """The last results, however old; None before the first."""
        return self._results

    async def results(self) -> Results:
        """The results, some seconds old if the reports are fast.

        Raises:
            UnavailableError: the database does not respond at all.
        """
        asked_at = self._clock()
        if self._results is not None and asked_at < self._reuse_until:
            return self._results
        async with self._lock:
            if self._failed_at >= asked_at:
                # Readers that waited for the same check share its failure.
                raise UnavailableError(_NO_RESPONSE)
            if self._results is None or self._clock() >= self._reuse_until:
                self._results = await self._run_all()
                rest_s = max(_REUSE_S, self._results.took_s * _REST)
                self._reuse_until = self._clock() + rest_s
            return self._results

    async def results_or_last(self) -> Results | None:
        """As `results`; while the database does not respond, the last ones."""
        try:
            return await self.results()
        except UnavailableError:
            return self._results

    async def _run_all(self) -> Results:
        began = self._clock()
        try:
            await self._runner.check()
        except UnavailableError:
            self._failed_at = self._clock()
            raise
        rows = {name: await self._run(report) for name, report in self._reports.items()}
        took_s = round(self._clock() - began, 3)
        return Results(rows, datetime.now(UTC), took_s)

    async def _run(self, report: Report) -> list[dict[str, Any]] | None:
        try:
            return await self._runner.run(report)
        except UnavailableError:
            return None

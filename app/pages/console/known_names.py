"""Names that filters suggest: events, codes of errors and sources."""

from collections.abc import Sequence

from app.pages.report_cache import ReportCache
from app.pipeline.codes import ERROR_TEXTS
from app.store.read.reports import SOURCE_NAMES, ReportRunner


class KnownNames:
    """Names that filters suggest.

    Attributes:
        events: names of the catalog.
        reasons: codes for which an event may be rejected.
    """

    def __init__(self, runner: ReportRunner, events: Sequence[str]) -> None:
        self._names = ReportCache(runner, {"sources": SOURCE_NAMES})
        self.events = events
        self.reasons = tuple(ERROR_TEXTS)

    async def sources(self) -> list[str]:
        """Names of all sources, as far as they are known."""
        results = await self._names.results_or_last()
        rows = results.rows["sources"] if results else None
        return [row["name"] for row in rows or ()]

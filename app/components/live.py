"""Components of the live page and the overview, separate from those of ingest."""

from fastapi import FastAPI

from app.access.readers import ReaderAuth
from app.events.catalog import Catalog
from app.pages.console.home import HOME_REPORTS
from app.pages.console.known_names import KnownNames
from app.pages.console.overview import overview_routes
from app.pages.live.feed import LiveFeed
from app.pages.live.routes import live_routes
from app.pages.render import Pages
from app.pages.report_cache import ReportCache
from app.store.engine import create_engine
from app.store.read.arrivals import Arrivals
from app.store.read.reports import ReportRunner

# One polls for arrivals, one runs reports.
_CONNECTIONS = 2
# Timeout of a report. A poll for arrivals has one second.
_TIMEOUT_S = 5.0
# Time of a transaction besides its statements, such as the confirmation of a commit.
_MARGIN_S = 1.0


class LiveComponents:
    """The live feed and the reports.

    Args:
        url: database URL.
        commit_s: longest duration of a transaction that stores events, in seconds.
        catalog: the events that pages list.
    """

    def __init__(self, url: str, *, commit_s: float, catalog: Catalog) -> None:
        self._engine = create_engine(
            url, pool_size=_CONNECTIONS, command_timeout_s=_TIMEOUT_S
        )
        self.feed = LiveFeed(
            Arrivals(self._engine, watermark_lag_s=commit_s + _MARGIN_S)
        )
        self._runner = runner = ReportRunner(self._engine, timeout_s=_TIMEOUT_S)
        self.names = KnownNames(runner, list(catalog))
        self.home_reports = ReportCache(runner, HOME_REPORTS)

    def install(self, app: FastAPI, pages: Pages, *, readers: ReaderAuth) -> None:
        """Add the routes."""
        app.include_router(
            live_routes(pages, readers=readers, feed=self.feed, names=self.names)
        )
        app.include_router(
            overview_routes(
                pages,
                readers=readers,
                runner=self._runner,
                events=self.names.events,
            )
        )

    async def close(self) -> None:
        """End all streams and close the connections."""
        await self.feed.stop()
        await self._engine.dispose()

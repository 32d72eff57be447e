"""The pages that show what arrives and what has arrived, apart from what writes."""

from fastapi import FastAPI

from app.access.readers import ReaderAuth
from app.pages.live.feed import Feed
from app.pages.live.routes import live_routes
from app.pages.overview import overview_routes
from app.pages.overview_cache import ReportCache
from app.pages.render import Pages
from app.store.engine import create_engine
from app.store.read.arrivals import Arrivals
from app.store.read.limiter import QueryLimiter
from app.store.read.reports import ReportRunner

# One looks at what arrives, one asks what has.
_CONNECTIONS = 2
# Of a figure; a look at what arrives has a second.
_TIMEOUT_S = 5.0
# What a transaction takes beside its statements, such as to learn of its commit.
_MARGIN_S = 1.0


class LiveComponents:
    """The feed and the figures.

    Attributes:
        feed: for whoever watches.

    Args:
        url: of the database.
        commit_s: the longest that a transaction which stores events may take.
    """

    def __init__(self, url: str, *, commit_s: float) -> None:
        self._engine = create_engine(
            url, pool_size=_CONNECTIONS, command_timeout_s=_TIMEOUT_S
        )
        self.feed = Feed(Arrivals(self._engine, settle_s=commit_s + _MARGIN_S))
        self._overview = ReportCache(ReportRunner(self._engine, timeout_s=_TIMEOUT_S))

    def install(
        self, app: FastAPI, pages: Pages, *, readers: ReaderAuth, turns: QueryLimiter
    ) -> None:
        """Add the routes."""
        app.include_router(live_routes(pages, readers=readers, feed=self.feed))
        app.include_router(
            overview_routes(
                pages, readers=readers, overview=self._overview, turns=turns
            )
        )

    async def close(self) -> None:
        """End all streams, and close the connections."""
        await self.feed.stop()
        await self._engine.dispose()

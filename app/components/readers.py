"""Components of the read side: connections, keys, sessions, routes."""

from collections.abc import Callable

from fastapi import FastAPI

from app.access.key_cache import KeyCache
from app.access.readers import ReaderAuth
from app.api.events import read_routes
from app.components.database import read_url
from app.metrics.counters import Metrics
from app.pages.render import Pages
from app.pages.sign_in import sign_in_routes
from app.settings import Settings
from app.store.engine import HostWatch, create_engine, watch_pool
from app.store.journal.fallback import OfflineBuffer
from app.store.keys.browser_sessions import Sessions
from app.store.keys.scopes import Reader
from app.store.keys.session_file import SessionFile
from app.store.read.limiter import QueryLimiter
from app.store.service_queries import ServiceQueries

# One for signing in, one for key lookups.
_ACCESS_CONNECTIONS = 2
_QUERY_CONNECTIONS = 2


class ReadComponents:
    """Authentication and queries of readers.

    Args:
        url: URL of the database, for keys and sessions; queries read
            `ROLLCALL_READ_URL`, if it is set.
        settings: settings of the service.
        metrics: metrics of the connections in use.
        outage: known keys for outages; None without a journal.
        on_read: callback for each request that reads payloads.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        metrics: Metrics,
        outage: OfflineBuffer | None,
        on_read: Callable[[Reader, str], None],
    ) -> None:
        trust_s = settings.key_cache_seconds
        # By default their sum stays below the time limit of a response in an outage.
        lookup_s = settings.lookup_timeout_seconds
        read_s = settings.read_timeout_seconds
        known = recent = None
        if outage is not None:
            known = outage.known_keys.reader_of
            recent = SessionFile(settings.data_dir)
        # Separate pools, so that readers never take a connection from the writer.
        self._engine = create_engine(
            url, pool_size=_ACCESS_CONNECTIONS, command_timeout_s=read_s
        )
        self._query_engine = create_engine(
            read_url(settings, default=url),
            pool_size=_QUERY_CONNECTIONS,
            command_timeout_s=read_s,
            on_host=HostWatch(metrics, name="reading"),
        )
        watch_pool(self._query_engine, metrics, name="reading")
        lookups = ServiceQueries(self._engine, timeout_s=lookup_s)
        self.keys = KeyCache(lookups.reader_of_key, trust_s=trust_s, known=known)
        self.queries = QueryLimiter(self._query_engine, timeout_s=read_s)
        self.sessions = Sessions(self._engine, timeout_s=lookup_s)
        self.readers = ReaderAuth(
            keys=self.keys,
            sessions=KeyCache(self.sessions.reader_of, trust_s=trust_s, recent=recent),
            on_read=on_read,
        )

    def install(self, app: FastAPI, pages: Pages) -> None:
        """Add the routes for signing in and reading."""
        app.include_router(read_routes(self.readers, self.queries))
        app.include_router(sign_in_routes(self.sessions, self.readers, pages))

    async def close(self) -> None:
        """Close the connections."""
        await self._query_engine.dispose()
        await self._engine.dispose()

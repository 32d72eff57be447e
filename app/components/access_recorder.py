"""Records, once a minute, which keys were used and which read payloads."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from app.logs import fields
from app.metrics.catalog import AUDIT_FAILURES
from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.store.keys.scopes import Reader
from app.store.service_queries import ServiceQueries

log = logging.getLogger(__name__)

_PAUSE_S = 60.0


class AccessRecorder:
    """Collects the use of keys in memory, and writes it once a minute.

    Requests never wait for it. While the database does not respond, the counts are
    kept and written later.
    """

    def __init__(self, queries: ServiceQueries, metrics: Metrics) -> None:
        self._queries = queries
        self._metrics = metrics
        self._takers: list[Callable[[], set[bytes]]] = []
        self._hashes: set[bytes] = set()
        self._reads: dict[str, Counter[str]] = {}

    def watch(self, *takers: Callable[[], set[bytes]]) -> None:
        """Add functions that return the keys (hashes) used since their last call."""
        self._takers += takers

    def count_read(self, reader: Reader, path: str) -> None:
        """Count a request that reads payloads.

        Args:
            reader: key or session of the request.
            path: path of the route, without ids.
        """
        self._reads.setdefault(reader.key_id, Counter())[path] += 1

    async def run(self) -> None:
        """Write once a minute, until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            await self.flush()

    async def flush(self) -> None:
        """Write the records; keep them if the database does not respond."""
        self._hashes.update(*(take() for take in self._takers))
        reads, self._reads = self._reads, {}
        hashes, self._hashes = self._hashes, set()
        if not reads and not hashes:
            return
        try:
            await self._queries.record_use([*hashes], [*reads])
            hashes = set()
            await self._queries.record_reads(reads)
        except BaseException as error:
            # Also when the task is cancelled: the last flush writes them.
            self._hashes |= hashes
            for key_id, paths in reads.items():
                self._reads.setdefault(key_id, Counter()).update(paths)
            if not isinstance(error, UnavailableError):
                raise
            log.warning("audit log not written", extra=fields(reason=error.reason))
            self._metrics.add(AUDIT_FAILURES)

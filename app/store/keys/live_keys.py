"""The live keys in this process, also while Postgres is unavailable."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from app.request_errors import UnavailableError
from app.store.keys.keys import key_id
from app.store.keys.scopes import Reader, Scope
from app.store.keys.snapshot_file import KeySnapshotFile, LiveKey

log = logging.getLogger(__name__)

_PAUSE_S = 1.5
_MARGIN_S = 0.5
# The process that holds the lock queries Postgres, which takes at most a second.
_ATTEMPTS = 24
_ATTEMPT_PAUSE_S = 0.05


class LiveKeys:
    """All live keys: those in Postgres, or the last ones known while it is unavailable.

    One process of a machine at a time queries Postgres; the others read the snapshot.
    Another key may be new: look it up in Postgres.

    Args:
        file: shared with the other processes of this machine.
        ask: reads all live keys; raises UnavailableError if Postgres does not respond.
        trust_s: seconds for which keys are trusted while Postgres responds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        file: KeySnapshotFile,
        ask: Callable[[], Awaitable[list[LiveKey]]],
        *,
        trust_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._ask = ask
        self._trust_s = trust_s
        self._clock = clock
        self._trusted_until = 0.0
        self._sources: dict[bytes, str] = {}
        self._readers: dict[bytes, Reader] = {}
        self._is_written = True

    def source_of(self, key_hash: bytes, /, *, stale: bool = False) -> str | None:
        """The source of a write key, by its SHA-256; None if the key is unknown.

        For outages, `stale` takes the last list however old it is.
        """
        return self._sources.get(key_hash) if stale or self._is_trusted() else None

    def reader_of(self, key_hash: bytes, /, *, stale: bool = False) -> Reader | None:
        """The holder of a key other than a write key, as `source_of`."""
        return self._readers.get(key_hash) if stale or self._is_trusted() else None

    def _is_trusted(self) -> bool:
        return self._clock() < self._trusted_until

    @property
    def has_write_keys(self) -> bool:
        """Whether any write key is known."""
        return bool(self._sources)

    async def keep_refreshing(self) -> None:
        """Refresh every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Read the live keys from Postgres, or from the snapshot during an outage."""
        try:
            if await self._refresh_from_postgres():
                return
        except OSError as error:
            if self._is_written:
                self._is_written = False
                log.warning("the file of keys cannot be written: %s", error)
            return
        keys = await asyncio.to_thread(self._file.read)
        if keys is None:
            # An unreadable file revokes nothing: the last keys known still hold.
            self._trusted_until = math.inf
        else:
            self._learn(keys, until=math.inf)

    async def _refresh_from_postgres(self) -> bool:
        for _ in range(_ATTEMPTS):
            with self._file.try_lock() as is_held:
                if is_held:
                    return await self._refresh_locked()
            await asyncio.sleep(_ATTEMPT_PAUSE_S)
        # The process that holds the lock hangs; revoked keys must end all the same.
        return await self._ask_and_learn() is not None

    async def _refresh_locked(self) -> bool:
        """Query Postgres, unless another process of this machine has just done so."""
        age_s = self._clock() - self._file.asked_at
        if 0 <= age_s < _PAUSE_S and (keys := await asyncio.to_thread(self._file.read)):
            self._learn(keys, until=self._clock() - age_s + self._trust_s)
            return True
        asked_at = self._clock()
        keys = await self._ask_and_learn()
        if keys is None:
            return False
        await asyncio.to_thread(self._file.write, keys)
        self._file.asked_at = asked_at
        self._is_written = True
        return True

    async def _ask_and_learn(self) -> list[LiveKey] | None:
        asked_at = self._clock()
        # The keys of the file must be read before those in memory are trusted no more.
        within_s = max(1.0, self._trust_s - _PAUSE_S - _MARGIN_S)
        try:
            async with asyncio.timeout(within_s):
                keys = await self._ask()
        except (UnavailableError, TimeoutError):
            return None
        self._learn(keys, until=asked_at + self._trust_s)
        return keys

    def _learn(self, keys: list[LiveKey], *, until: float) -> None:
        self._trusted_until = until
        live = [key for key in keys if not key.is_expired]
        self._sources = {
            key.key_hash: key.source for key in live if key.scope == Scope.WRITE
        }
        self._readers = {
            key.key_hash: Reader(key.source, key_id(key.key_hash), key.scope)
            for key in live
            if key.scope != Scope.WRITE
        }

"""Cache of key look-ups: each result is trusted for some seconds."""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from app.request_errors import OverloadedError, UnavailableError

# A negative answer is short, so that a new key works at once.
UNKNOWN_TRUST_S = 1.0
# Entries of each kind; the oldest goes first.
MAX_ENTRIES = 10_000
# Look-ups that wait for their turn; more would wait longer than a request may.
MAX_WAITING = 1_000

# Holder of a key: a source, or a reader with its scope.
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


# No real key is longer. Longer ones are not cached, since they would fill the memory.
_MAX_CACHED_BYTES = 128


@lru_cache(maxsize=256)
def _cached_digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _digest(key: bytes) -> bytes:
    if len(key) > _MAX_CACHED_BYTES:
        return hashlib.sha256(key).digest()
    return _cached_digest(key)


@dataclass(slots=True)  # made in half the time of a named tuple
class CacheEntry(Generic[T]):
    """An answer, and until when it is trusted, on the cache's clock."""

    source: T | None
    until: float


class Recent(Protocol[T]):
    """Results of look-ups that all processes of a machine share."""

    def remember(self, digest: bytes, source: T | None, /) -> None:
        """Add the result of a look-up; None removes it."""

    def recall(self, digest: bytes, /) -> T | None:
        """Return the last result of any process."""


class OfflineLookup(Protocol[T_co]):
    """Looks a key up by its SHA-256 where no database is asked."""

    def __call__(self, digest: bytes, /, *, stale: bool = False) -> T_co | None:
        """Return the source; with `stale`, also one that is too old to be trusted."""


class KeyCache(Generic[T]):
    """A cache in front of the table of keys, safe against a flood of unknown ones.

    One look-up is under way at a time and one for each key, so that guessing keys
    takes no more than one connection from those who write.

    Args:
        fetch: returns the source of a live key, given the SHA-256 of the key.
        trust_s: how long a known key is trusted before it is looked up again.
        known: sources known without a look-up; during an outage also stale ones.
        recent: results of the other processes, for outages.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        fetch: Callable[[bytes], Awaitable[T | None]],
        *,
        trust_s: float,
        known: OfflineLookup[T] | None = None,
        recent: Recent[T] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = fetch
        self._source_of_known = known or _nothing_known
        self._recent = recent
        self._trust_s = trust_s
        self._clock = clock
        # Apart, so that a flood of unknown keys cannot push out the known ones.
        self._known: OrderedDict[bytes, CacheEntry[T]] = OrderedDict()
        self._unknown: OrderedDict[bytes, CacheEntry[T]] = OrderedDict()
        # Look-ups that somebody waits for: of keys that were known, which go first,
        # and of others.
        self._pending: dict[bytes, asyncio.Future[T | None]] = {}
        self._due: deque[bytes] = deque()
        self._new: deque[bytes] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._used: set[bytes] = set()

    def take_used(self) -> set[bytes]:
        """Return the hashes of the keys used since the last call."""
        used, self._used = self._used, set()
        return used

    def get_cached(self, key: bytes) -> CacheEntry[T] | None:
        """Return the cached result for a key; None if it is missing or too old."""
        digest = _digest(key)
        source = self._source_of_known(digest)
        if source is not None:
            self._used.add(digest)
            return CacheEntry(source, math.inf)
        known = self._known.get(digest)
        if known is not None and self._clock() < known.until:
            self._used.add(digest)
            return known
        known = self._unknown.get(digest)
        return known if known is not None and self._clock() < known.until else None

    async def source_of(self, key: bytes) -> T | None:
        """The source that a live key belongs to; None for any other.

        Raises:
            OverloadedError: as many keys are being looked up as may be.
            Exception: whatever the look-up raises.
        """
        known = self.get_cached(key)
        if known is not None:
            return known.source
        digest = _digest(key)
        pending = self._pending.get(digest)
        if pending is None:
            pending = self._enqueue(digest)
        # Others may wait for the same look-up: one that leaves must not end it.
        return await asyncio.shield(pending)

    async def source_or_last(self, key: bytes) -> T | None:
        """As `source_of`; while the database does not respond, as of the last look-up.

        Raises:
            UnavailableError, OverloadedError: this key was never looked up.
        """
        try:
            return await self.source_of(key)
        except (UnavailableError, OverloadedError):
            source = self.last_known(key)
            if source is None:
                raise
            return source

    def knows(self, key: bytes) -> bool:
        """Whether a key was live when it was last looked up."""
        digest = _digest(key)
        return digest in self._known or self._source_of_known(digest) is not None

    def last_known(self, key: bytes) -> T | None:
        """Return the holder of a key as of the last look-up, however long ago."""
        digest = _digest(key)
        known = self._known.get(digest)
        if known is not None:
            return known.source
        source = self._source_of_known(digest, stale=True)
        if source is None and self._recent is not None:
            source = self._recent.recall(digest)
        return source

    async def forget(self, key: bytes) -> None:
        """Look a key up again when it is used next."""
        digest = _digest(key)
        self._known.pop(digest, None)
        await self._remember(digest, None)

    def _enqueue(self, digest: bytes) -> asyncio.Future[T | None]:
        if digest in self._known:
            self._due.append(digest)
        elif len(self._pending) < MAX_WAITING:
            self._new.append(digest)
        else:
            raise OverloadedError("Too many keys are being looked up; send this again.")
        pending = asyncio.get_running_loop().create_future()
        self._pending[digest] = pending
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._look_up_pending())
        return pending

    async def _look_up_pending(self) -> None:
        while self._due or self._new:
            digest = (self._due or self._new).popleft()
            try:
                source = await self._refresh(digest)
            except Exception as error:  # noqa: BLE001 - each waiting request raises it
                pending = self._pending.pop(digest)
                pending.set_exception(error)
                pending.exception()  # retrieved, even if no request waits any more
            else:
                self._pending.pop(digest).set_result(source)

    async def _refresh(self, digest: bytes) -> T | None:
        # The answer is as old as the question.
        asked_at = self._clock()
        source = await self._look_up(digest)
        self._known.pop(digest, None)
        self._unknown.pop(digest, None)
        if source is None:
            cache, trust_s = self._unknown, UNKNOWN_TRUST_S
        else:
            self._used.add(digest)
            cache, trust_s = self._known, self._trust_s
        cache[digest] = CacheEntry(source, asked_at + trust_s)
        if len(cache) > MAX_ENTRIES:
            cache.popitem(last=False)
        await self._remember(digest, source)
        return source

    async def _remember(self, digest: bytes, source: T | None) -> None:
        if self._recent is not None:
            # It waits for a lock and for the disk.
            await asyncio.to_thread(self._recent.remember, digest, source)


def _nothing_known(digest: bytes, /, *, stale: bool = False) -> None:
    """For a cache without known keys."""
    del digest, stale

"""A tracker on fakes: keys that are known, and commits as a test wants them."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from typing_extensions import override

from app.access.key_cache import KeyCache
from app.ingest.body import Receive
from app.ingest.counting import service_layout
from app.ingest.handler import TrackHandler
from app.ingest.limits import TrackLimits
from app.ingest.responses import TrackResponse
from app.ingest.routes import TrackRoute
from app.metrics.board import Board
from app.metrics.meters import Meters
from app.pipeline.record import Policy, Record
from app.pipeline.timestamp import TimestampPolicy
from app.store.write.committer import Committer
from app.store.write.insert import Entry, Outcome
from app.store.write.writer import Writer
from tests.support.pipeline import SIGNED_UP
from tests.support.receiving import receiving

KEY = "rc_known"
BUDGET = 4_000
TRACK = TrackRoute("/track")


class Commits(Committer):
    """Commits that succeed, fail or take their time."""

    def __init__(self) -> None:
        self.settled: list[Entry] = []
        self.confirms = True
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    @override
    async def release(self) -> None:
        """Has no connection."""

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        self.begun.set()
        await self.open.wait()
        self.settled += entries
        return [self._outcome(entry) for entry in entries]

    def _outcome(self, entry: Entry) -> Outcome | None:
        if not self.confirms:
            return None
        if isinstance(entry, Record):
            return Outcome("stored")
        return Outcome("rejected", errors=entry.errors)


class Keys:
    """The table of keys, with one key in it; answers while it is open."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self, digest: bytes) -> str | None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return "billing" if digest == sha256(KEY.encode()).digest() else None


class Bench:
    """A tracker, and what it works with."""

    def __init__(self, *, patience_s: float = 20, max_requests: int = 1_000) -> None:
        self.commits = Commits()
        self.keys = Keys()
        self.writer = Writer(self.commits)
        self.board = Board(service_layout())
        self.meters = Meters(self.board)
        self.track_handler = TrackHandler(
            key_cache=KeyCache(self.keys.fetch, trust_s=4),
            writer=self.writer,
            policy=Policy(TimestampPolicy()),
            limits=TrackLimits(
                max_bytes=BUDGET,
                max_events=10,
                max_values=1_000,
                queue_bytes=BUDGET,
                keyless_bytes=BUDGET,
                database_s=patience_s,
                max_requests=max_requests,
            ),
            meters=self.meters,
            clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )

    async def track(
        self,
        *chunks: bytes,
        receive: Receive | None = None,
        route: TrackRoute = TRACK,
        method: str = "POST",
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] | None = None,
    ) -> tuple[TrackResponse, str]:
        scope = {
            "method": method,
            "headers": with_key() if headers is None else headers,
            "query_string": query,
        }
        return await self.track_handler.track(
            route, scope, receive or receiving(*chunks), request_id="request-1"
        )

    async def close(self) -> None:
        """Stop, whatever a test has left waiting."""
        self.commits.open.set()
        await self.writer.stop()

    async def takes_as_much_as_ever(self) -> bool:
        """Whether nothing is held any more, with a key in a header or without."""
        answers = [
            await self.track(filling(BUDGET)),
            await self.track(filling(BUDGET, writeKey=KEY), headers=without_key()),
        ]
        return [answer.status for answer, _ in answers] == [200, 200]


def without_key(*more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), *more]


def with_key(*more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return without_key((b"authorization", b"Bearer " + KEY.encode()), *more)


def event(**changes: Any) -> bytes:
    return json.dumps(SIGNED_UP | changes).encode()


def filling(size: int, **changes: Any) -> bytes:
    """A good event that takes so many bytes."""
    return event(**changes).ljust(size)

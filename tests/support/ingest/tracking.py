"""A tracker on fakes: keys that are known, and commits as a test wants them."""

import asyncio
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from typing_extensions import override

from app.access.credentials import first_headers
from app.access.key_cache import KeyCache
from app.ingest.counting import metric_labels
from app.ingest.handler import TrackRequest
from app.ingest.request import RequestHead
from app.ingest.responses import TrackResponse
from app.ingest.routes import TrackRoute
from app.ingest.services import IngestServices, TrackLimits
from app.logs import RequestLog
from app.metrics.counters import Metrics
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Policy, Record
from app.pipeline.timestamp import TimestampPolicy
from app.request_errors import REQUEST_ERRORS
from app.store.write.committer import Committer
from app.store.write.writer import Writer
from tests.support.pipeline.verdicts import SIGNED_UP

KEY = "rc_known"
BUDGET = 4_000
TRACK = TrackRoute("/track")
Then = Literal["ends", "leaves", "stalls"]


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
            return Outcome(EventStatus.STORED)
        return Outcome(EventStatus.REJECTED, errors=entry.errors)


class ClientLeftError(Exception):
    """The client left before its response."""


class FakeClient:
    """A client that waits for its response."""

    def __init__(self) -> None:
        self.response: asyncio.Future[TrackResponse] = (
            asyncio.get_running_loop().create_future()
        )
        self.held: list[bool] = []
        self.is_invited = False
        self.is_trusted = False
        self.unread_s = 0.0
        self.peer = "192.0.2.1"

    def respond(self, response: TrackResponse, request_id: str) -> None:
        assert request_id == "request-1"
        if not self.response.done():
            self.response.set_result(response)

    def invite_body(self) -> None:
        self.is_invited = True

    def hold(self, *, held: bool) -> None:
        self.held.append(held)

    def trust(self) -> None:
        self.is_trusted = True

    def back_off(self, seconds: float) -> None:
        self.unread_s = seconds


def raise_refusal(response: TrackResponse) -> None:
    """Raise the error that a response tells of, if it refuses the whole request."""
    code = json.loads(response.body).get("code")
    for kind in REQUEST_ERRORS:
        if kind.code == code:
            error = kind.__new__(kind)
            Exception.__init__(error, response)
            raise error


class Keys:
    """The table of keys, with one key in it; answers while it is open."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._digests = {sha256(KEY.encode()).digest()}
        self.open = asyncio.Event()
        self.open.set()

    def accept(self, key: str) -> None:
        """Have one more key."""
        self._digests.add(sha256(key.encode()).digest())

    async def fetch(self, digest: bytes) -> str | None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return "billing" if digest in self._digests else None


class Bench:
    """A tracker and its collaborators."""

    def __init__(self, *, answer_s: float = 20, slots: int = 1_000) -> None:
        self.commits = Commits()
        self.keys = Keys()
        self.writer = Writer(self.commits)
        self.metrics = Metrics(metric_labels())
        self.log = io.BytesIO()
        self.services = IngestServices(
            key_cache=KeyCache(self.keys.fetch, trust_s=4),
            writer=self.writer,
            policy=Policy(TimestampPolicy()),
            limits=TrackLimits(
                max_bytes=BUDGET,
                max_events=10,
                max_values=1_000,
                inflight_bytes=BUDGET,
                unauthenticated_bytes=BUDGET,
                max_unauthenticated_bytes=BUDGET,
                answer_s=answer_s,
                slots=slots,
            ),
            metrics=self.metrics,
            requests=RequestLog(self.log, enabled=True),
            clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )

    def answer_within(self, seconds: float) -> None:
        """Change the deadline of later requests: some must succeed on any machine."""
        self.services.limits = replace(self.services.limits, answer_s=seconds)
        self.services.deadlines.delay_s = seconds

    async def track(
        self,
        *chunks: bytes,
        then: Then = "ends",
        route: TrackRoute = TRACK,
        method: str = "POST",
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] | None = None,
    ) -> tuple[TrackResponse, str | None]:
        """Send a request; raises the error of a refusal."""
        client = FakeClient()
        request = TrackRequest(
            self.services,
            route,
            head_of(with_key() if headers is None else headers, method, query),
            request_id="request-1",
            client=client,
        )
        try:
            request.begin()
            for chunk in chunks:
                request.feed(chunk)
            if then == "ends":
                request.end(asyncio.get_running_loop().time())
            if then == "leaves" and not request.is_done:
                raise ClientLeftError
            response = await client.response
        finally:
            request.disconnect()
        raise_refusal(response)
        return response, request.source

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


def head_of(
    headers: Sequence[tuple[bytes, bytes]], method: str = "POST", query: bytes = b""
) -> RequestHead:
    """The head of a request to `/track`."""
    return RequestHead(
        method=method.encode(),
        path=b"/track",
        query=query,
        version="1.1",
        headers=list(headers),
        first=first_headers(headers),
        expects_continue=False,
    )


def without_key(*more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), *more]


def with_key(*more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return without_key((b"authorization", b"Bearer " + KEY.encode()), *more)


def event(**changes: Any) -> bytes:
    return json.dumps(SIGNED_UP | changes).encode()


def filling(size: int, **changes: Any) -> bytes:
    """A good event that takes so many bytes."""
    return event(**changes).ljust(size)

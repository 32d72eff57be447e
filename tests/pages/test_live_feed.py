"""Frames of the live feed, without HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pages.live.feed import LiveFeed, pause_after
from app.pages.live.frames import HEARTBEAT, frame, read_watermark
from app.pages.live.subscribers import LiveFilter
from app.request_errors import OverloadedError
from app.store.engine import create_engine
from app.store.read.arrivals import Arrivals, Counts, PollResult
from tests.support.pipeline.verdicts import RECEIPT
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import record, records, rejection, save

ALL = LiveFilter()
CRM = RECEIPT._replace(source="crm")
OTHER = record(user_id="other", request_context=CRM)._replace(group_id="g")
WITHIN_S = 20


def test_documented_status_all_is_no_filter() -> None:
    assert LiveFilter.model_validate({"status": "all"}) == ALL


class Frames:
    """Frames of one stream."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self.stream = stream
        self.read: list[tuple[str, Any]] = []

    async def next(self) -> None:
        """Read on, by one chunk."""
        async with asyncio.timeout(WITHIN_S):
            chunk = await anext(self.stream)
        for sent in chunk.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in sent.split("\n") if line[1:])
            if "event" in fields:
                self.read.append((fields["event"], orjson.loads(fields["data"])))

    async def until(self, name: str) -> Any:
        """The data of the next frame of this name."""
        while True:
            while self.read:
                event, data = self.read.pop(0)
                if event == name:
                    return data
            await self.next()

    async def users(self, count: int) -> list[str]:
        """User ids of the next rows."""
        found: list[str] = []
        while len(found) < count:
            found += [row["user_id"] for row in (await self.until("rows"))["rows"]]
        return sorted(found)

    async def end(self) -> None:
        """Read to the end."""
        async with asyncio.timeout(WITHIN_S):
            async for _ in self.stream:
                pass


async def always() -> bool:
    return True


async def never() -> bool:
    return False


@pytest.fixture
async def feed(engine: AsyncEngine) -> AsyncIterator[LiveFeed]:
    feed = LiveFeed(
        Arrivals(engine, watermark_lag_s=600, timeout_s=WITHIN_S), max_subscribers=2
    )
    yield feed
    await feed.stop()


@asynccontextmanager
async def subscribed(feed: LiveFeed, wanted: LiveFilter = ALL, **options: Any) -> Any:
    stream = feed.watch(wanted, **{"after": None, "allowed": always, **options})
    try:
        yield Frames(stream)
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # a generator


async def test_live_feed_event_stored_reaches_all_subscribers(
    engine: AsyncEngine, feed: LiveFeed
) -> None:
    async with subscribed(feed) as one, subscribed(feed) as other:
        await one.until("minutes")
        await other.until("minutes")
        await save(engine, record(user_id="a"), rejection(user_id="b"))
        assert await one.users(2) == ["a", "b"]
        assert await other.users(2) == ["a", "b"]


async def test_live_feed_new_subscriber_gets_recent_rows(
    engine: AsyncEngine, feed: LiveFeed
) -> None:
    await save(engine, record(user_id="a"))
    async with subscribed(feed) as first:
        assert await first.users(1) == ["a"]
        async with subscribed(feed) as second:
            assert await second.users(1) == ["a"]


@pytest.mark.parametrize(
    ("wanted", "users"),
    [
        (LiveFilter(status="rejected"), ["b"]),
        (LiveFilter(status="stored", source="billing-backend"), ["a", "last"]),
        (LiveFilter(source="crm"), ["other"]),
        (LiveFilter(group_id="g"), ["other"]),
        (LiveFilter(user_id="b"), ["b"]),
        (LiveFilter(event="signed_up", user_id="a"), ["a"]),
        (LiveFilter(reason="invalid_timestamp"), ["b"]),
    ],
)
async def test_live_feed_filter_excludes_other_rows(
    engine: AsyncEngine, feed: LiveFeed, wanted: LiveFilter, users: list[str]
) -> None:
    async with subscribed(feed, wanted) as frames:
        await frames.until("minutes")
        await save(engine, record(user_id="a"), rejection(user_id="b"), OTHER)
        await save(engine, record(user_id="last"))
        assert await frames.users(len(users)) == users


async def test_live_feed_rows_over_rate_limit_are_counted(
    engine: AsyncEngine, feed: LiveFeed
) -> None:
    async with subscribed(feed, LiveFilter(event="signed_up")) as frames:
        await frames.until("minutes")
        await save(engine, *records(350))
        sent = await frames.until("rows")
        shown, left_out = len(sent["rows"]), sent["left_out"]
        while shown + left_out < 350:
            sent = await frames.until("rows")
            shown += len(sent["rows"])
            left_out += sent["left_out"]
        assert shown + left_out == 350
        assert 200 <= shown < 250


async def test_check_room_at_limit_raises_overloaded(feed: LiveFeed) -> None:
    async with subscribed(feed) as one:
        await one.next()
        feed.check_room()
        async with subscribed(feed) as other:
            await other.next()
            with pytest.raises(OverloadedError):
                feed.check_room()
        feed.check_room()


async def test_live_feed_concurrent_joins_keep_limit(feed: LiveFeed) -> None:
    feed.check_room()  # passes for each of them before any has joined
    async with (
        subscribed(feed) as one,
        subscribed(feed) as other,
        subscribed(feed) as more,
    ):
        await one.next()
        await other.next()
        await more.end()
        await one.until("minutes")
        await other.until("minutes")


async def test_live_feed_idle_stream_gets_heartbeats(feed: LiveFeed) -> None:
    async with subscribed(feed) as frames, asyncio.timeout(WITHIN_S):
        while await anext(frames.stream) != HEARTBEAT:
            pass


async def test_live_feed_slow_subscriber_gets_count_of_missed_rows(
    feed: LiveFeed,
) -> None:
    async with subscribed(feed) as slow:
        await slow.until("minutes")
        [subscriber] = feed._subscribers  # noqa: SLF001 - as a poll does, but faster
        for _ in range(100):
            subscriber.send(frame("rows", {"rows": [], "left_out": 0}), rows=2)
        assert 150 < (await slow.until("missed"))["rows"] < 200


async def test_live_feed_waiting_frames_are_one_chunk(feed: LiveFeed) -> None:
    async with subscribed(feed) as frames:
        await frames.until("minutes")
        [subscriber] = feed._subscribers  # noqa: SLF001 - as a poll does
        for number in range(3):
            subscriber.send(frame("rows", {"number": number}))
        await frames.next()
    assert [data["number"] for name, data in frames.read if name == "rows"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("events", "pause_s"), [(0, 0.3), (30, 0.3), (31, 0.9), (10_000, 0.9)]
)
def test_pause_after_many_events_is_longer_but_below_a_second(
    events: int, pause_s: float
) -> None:
    until = datetime(2026, 11, 22, 1, 2, 30, tzinfo=UTC)
    since = until - timedelta(milliseconds=300)
    counts = {until: Counts(stored=events - events // 3, rejected=events // 3)}
    assert pause_after(PollResult([], since, until, counts, 0)) == pause_s


async def test_live_feed_permission_lost_ends_stream(feed: LiveFeed) -> None:
    async with subscribed(feed, allowed=never) as frames:
        assert await frames.until("end") == {"reason": "signed_out"}
        await frames.end()


async def test_live_feed_end_closes_all_streams(feed: LiveFeed) -> None:
    async with subscribed(feed) as frames:
        await frames.until("minutes")
        feed.end()
        await frames.end()
    async with subscribed(feed) as late:
        await late.end()
    with pytest.raises(OverloadedError):
        feed.check_room()


async def test_live_feed_reconnecting_subscriber_gets_only_new_rows(
    engine: AsyncEngine, feed: LiveFeed
) -> None:
    async with subscribed(feed) as other:
        await other.until("minutes")
        await save(engine, record(user_id="a"))
        await other.users(1)
        for after, count in ((datetime(2000, 1, 1, tzinfo=UTC), 1), (_future(), 0)):
            async with subscribed(feed, after=after) as frames:
                assert len((await frames.until("rows"))["rows"]) == count


def _future() -> datetime:
    return datetime(2100, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "x", "9" * 40, "-" + "9" * 30])
def test_read_watermark_invalid_returns_none(text: str | None) -> None:
    assert read_watermark(text) is None


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).listening() as proxy:
        yield proxy


async def test_live_feed_outage_is_reported_and_ends_by_itself(
    proxy: Proxy, engine: AsyncEngine
) -> None:
    shaky = create_engine(proxy.url, pool_size=1)
    feed = LiveFeed(Arrivals(shaky, watermark_lag_s=600, timeout_s=1))
    try:
        async with subscribed(feed) as frames:
            await frames.until("minutes")
            proxy.freeze()
            assert await frames.until("database") == {"available": False}
            async with subscribed(feed) as late:
                assert await late.until("database") == {"available": False}
            await save(engine, record(user_id="a"))
            proxy.thaw()
            assert await frames.users(1) == ["a"]
            assert await frames.until("database") == {"available": True}
    finally:
        await feed.stop()
        await shaky.dispose()


async def polling_ended(feed: LiveFeed) -> None:
    polling = feed._polling  # noqa: SLF001 - to wait for its end
    assert polling is not None
    await asyncio.wait([polling])


async def test_live_feed_counts_last_hour_by_minute(
    engine: AsyncEngine,
) -> None:
    await save(engine, *records(3), rejection())
    feed = LiveFeed(Arrivals(engine, watermark_lag_s=0, timeout_s=WITHIN_S))
    for _ in range(2):  # polling ends in between and starts again
        async with subscribed(feed) as frames:
            minutes: dict[int, tuple[int, int]] = {}
            while len(minutes) < 60:
                data = await frames.until("minutes")
                minutes |= {minute: found for minute, *found in data["minutes"]}
            assert sum(stored for stored, _ in minutes.values()) == 3
            assert sum(rejected for _, rejected in minutes.values()) == 1
        await polling_ended(feed)
    await feed.stop()

"""What a watcher is sent, without HTTP in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import OverloadedError
from app.pages.live.feed import Feed
from app.pages.live.filter import Filter
from app.pages.live.frames import BEAT, database_frame, read_cursor
from app.store.engine import create_engine
from app.store.read.arrivals import Arrivals
from tests.support.entries import record, records, rejection, save
from tests.support.proxy import Proxy

ALL = Filter()
WITHIN_S = 20


class Frames:
    """What one watcher is sent, frame by frame."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self.stream = stream
        self.read: list[tuple[str, Any]] = []

    async def next(self) -> None:
        """Read on, by one chunk."""
        async with asyncio.timeout(WITHIN_S):
            chunk = await anext(self.stream)
        for frame in chunk.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in frame.split("\n") if line[1:])
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
        """Whom the next rows are about."""
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
async def feed(engine: AsyncEngine) -> AsyncIterator[Feed]:
    feed = Feed(Arrivals(engine, settle_s=600, timeout_s=WITHIN_S), max_watchers=2)
    yield feed
    await feed.stop()


@asynccontextmanager
async def watching(feed: Feed, wanted: Filter = ALL, **options: Any) -> Any:
    stream = feed.watch(wanted, **{"after": None, "allowed": always, **options})
    try:
        yield Frames(stream)
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_what_arrives_is_sent_to_all_who_watch(
    engine: AsyncEngine, feed: Feed
) -> None:
    async with watching(feed) as one, watching(feed) as other:
        await one.until("minutes")
        await other.until("minutes")
        await save(engine, record(user_id="a"), rejection(user_id="b"))
        assert await one.users(2) == ["a", "b"]
        assert await other.users(2) == ["a", "b"]


async def test_who_comes_first_is_shown_what_is_there(
    engine: AsyncEngine, feed: Feed
) -> None:
    await save(engine, record(user_id="a"))
    async with watching(feed) as first:
        assert await first.users(1) == ["a"]
        async with watching(feed) as second:
            assert await second.users(1) == ["a"]


@pytest.mark.parametrize(
    ("wanted", "users"),
    [
        (Filter(status="rejected"), ["b"]),
        (Filter(status="stored", source="billing-backend"), ["a", "last"]),
        (Filter(user_id="b"), ["b"]),
        (Filter(event="signed_up", user_id="a"), ["a"]),
    ],
)
async def test_a_filter_leaves_out_the_rest(
    engine: AsyncEngine, feed: Feed, wanted: Filter, users: list[str]
) -> None:
    async with watching(feed, wanted) as frames:
        await frames.until("minutes")
        await save(engine, record(user_id="a"), rejection(user_id="b"))
        await save(engine, record(user_id="last"))
        assert await frames.users(len(users)) == users


async def test_what_there_is_no_room_for_is_counted(
    engine: AsyncEngine, feed: Feed
) -> None:
    async with watching(feed, Filter(event="signed_up")) as frames:
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


async def test_one_watcher_too_many_is_refused(feed: Feed) -> None:
    async with watching(feed) as one:
        await one.next()
        feed.check_room()
        async with watching(feed) as other:
            await other.next()
            with pytest.raises(OverloadedError):
                feed.check_room()
        feed.check_room()


async def test_of_many_who_come_at_once_only_so_many_stay(feed: Feed) -> None:
    feed.check_room()  # as each of them is told before any of them begins
    async with watching(feed) as one, watching(feed) as other, watching(feed) as more:
        await one.next()
        await other.next()
        await more.end()
        await one.until("minutes")
        await other.until("minutes")


async def test_who_hears_nothing_new_is_written_to_all_the_same(feed: Feed) -> None:
    async with watching(feed) as frames, asyncio.timeout(WITHIN_S):
        while await anext(frames.stream) != BEAT:
            pass


async def test_who_reads_too_slowly_is_told_what_was_not_kept_for_it(
    feed: Feed,
) -> None:
    async with watching(feed) as slow:
        await slow.until("minutes")
        [channel] = feed._channels.values()  # noqa: SLF001 - as a look does, but faster
        for _ in range(100):
            channel.give(database_frame(there=True), rows=2)
        assert 150 < (await slow.until("missed"))["rows"] < 200


async def test_who_may_watch_no_longer_is_told_so(feed: Feed) -> None:
    async with watching(feed, allowed=never) as frames:
        assert await frames.until("end") == {"reason": "signed_out"}
        await frames.end()


async def test_all_streams_end_when_the_service_does(feed: Feed) -> None:
    async with watching(feed) as frames:
        await frames.until("minutes")
        feed.end()
        await frames.end()
    async with watching(feed) as late:
        await late.end()
    with pytest.raises(OverloadedError):
        feed.check_room()


async def test_who_comes_back_is_sent_what_is_not_known(
    engine: AsyncEngine, feed: Feed
) -> None:
    async with watching(feed) as other:
        await other.until("minutes")
        await save(engine, record(user_id="a"))
        await other.users(1)
        for after, count in ((datetime(2000, 1, 1, tzinfo=UTC), 1), (_future(), 0)):
            async with watching(feed, after=after) as frames:
                assert len((await frames.until("rows"))["rows"]) == count


def _future() -> datetime:
    return datetime(2100, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "x", "9" * 40, "-" + "9" * 30])
def test_no_cursor_is_none(text: str | None) -> None:
    assert read_cursor(text) is None


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).listening() as proxy:
        yield proxy


async def test_without_postgres_it_says_so_and_goes_on_by_itself(
    proxy: Proxy, engine: AsyncEngine
) -> None:
    shaky = create_engine(proxy.url, pool_size=1)
    feed = Feed(Arrivals(shaky, settle_s=600, timeout_s=1))
    try:
        async with watching(feed) as frames:
            await frames.until("minutes")
            proxy.freeze()
            assert await frames.until("database") == {"there": False}
            async with watching(feed) as late:
                assert await late.until("database") == {"there": False}
            await save(engine, record(user_id="a"))
            proxy.thaw()
            assert await frames.users(1) == ["a"]
            assert await frames.until("database") == {"there": True}
    finally:
        await feed.stop()
        await shaky.dispose()


async def nobody_looks(feed: Feed) -> None:
    polling = feed._polling  # noqa: SLF001 - it ends by itself
    assert polling is not None
    await asyncio.wait([polling])


async def test_the_last_hour_is_counted_by_the_minute(
    engine: AsyncEngine,
) -> None:
    await save(engine, *records(3), rejection())
    feed = Feed(Arrivals(engine, settle_s=0, timeout_s=WITHIN_S))
    for _ in range(2):  # the second time what was counted is known
        async with watching(feed) as frames:
            minutes: dict[int, tuple[int, int]] = {}
            while len(minutes) < 60:
                data = await frames.until("minutes")
                minutes |= {minute: found for minute, *found in data["minutes"]}
            assert sum(stored for stored, _ in minutes.values()) == 3
            assert sum(rejected for _, rejected in minutes.values()) == 1
        await nobody_looks(feed)
    await feed.stop()

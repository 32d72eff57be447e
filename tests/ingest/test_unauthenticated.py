"""Clients with an unknown key: their budgets, their thread, and their bounds."""

import asyncio
import gzip
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.access.key_cache import KeyCache
from app.ingest import handler
from app.ingest.body import BodyReader, Framing
from app.ingest.handler import TrackRequest
from app.pipeline.unpack import Unpacked, unpack
from app.request_errors import OverloadedError, UnauthorizedError
from tests.support.eventually import eventually
from tests.support.ingest.tracking import (
    KEY,
    TRACK,
    Bench,
    FakeClient,
    event,
    filling,
    head_of,
    with_key,
    without_key,
)

MIB = 1024 * 1024
STRANGE, LARGE = 17 * 1024, 257 * 1024
GZIP = (b"content-encoding", b"gzip")


def roomy(bench: Bench) -> Bench:
    """Raise the limits of bytes to those of real bodies."""
    services = bench.services
    for name in ("max_bytes", "max_unauthenticated_bytes"):
        object.__setattr__(services.limits, name, MIB)
    services.budget.limit = services.unauthenticated.limit = 2 * MIB
    return bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = roomy(Bench())
    bench.writer.start()
    yield bench
    await bench.close()


@pytest.fixture
async def hasty() -> AsyncIterator[Bench]:
    bench = roomy(Bench(answer_s=0.1))
    bench.writer.start()
    yield bench
    await bench.close()


def begin(bench: Bench, *headers: tuple[bytes, bytes]) -> TrackRequest:
    """A request without a key in its headers, before its body."""
    request = TrackRequest(
        bench.services,
        TRACK,
        head_of(without_key(*headers)),
        request_id="request-1",
        client=FakeClient(),
    )
    request.begin()
    return request


class Held:
    """Holds the decoding of bodies up, in whichever thread it happens."""

    def __init__(self, which: Callable[[bytes], bool]) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.threads: list[str] = []
        self._which = which

    def __call__(self, body: bytes, **options: Any) -> Unpacked:
        self.threads.append(threading.current_thread().name)
        if self._which(body):
            self.begun.set()
            # Or the event loop would be held up, and the test with it.
            assert threading.current_thread() is not threading.main_thread()
            assert self.open.wait(60)
        return unpack(body, **options)


@pytest.mark.parametrize("gzipped", [False, True])
async def test_first_part_of_a_body_moves_it_to_the_budget_of_its_known_source(
    bench: Bench, *, gzipped: bool
) -> None:
    await bench.track(event())
    start = b'{"writeKey": "%b", "x": "' % KEY.encode()
    sent = gzip.compress(start, mtime=0)[:-8] if gzipped else start
    request = begin(bench, *([GZIP] if gzipped else []))
    request.feed(sent)
    used = bench.services.budget.used, bench.services.unauthenticated.used
    request.disconnect()

    assert used == (len(start), 0)


async def test_first_part_of_a_body_with_an_unknown_key_stays_in_their_budget(
    bench: Bench,
) -> None:
    await bench.track(event())
    request = begin(bench)
    for part in (b'{"writeKey": "rc_wrong"', b', "writeKey": "%b"' % KEY.encode()):
        request.feed(part)
    used = bench.services.budget.used, bench.services.unauthenticated.used
    request.disconnect()

    assert (used[0], used[1] > 0) == (0, True)


async def test_full_budget_without_a_key_does_not_refuse_a_known_key_in_a_body(
    bench: Bench,
) -> None:
    await bench.track(event())
    bench.services.unauthenticated.limit = 10
    with pytest.raises(OverloadedError):
        await bench.track(event(writeKey="rc_wrong"), headers=without_key())
    body = b'{"writeKey": "%b", ' % KEY.encode() + event()[1:]
    answer, _ = await bench.track(body[:40], body[40:], headers=without_key())

    assert answer.status == 200


async def test_large_body_without_a_key_delays_no_body_of_a_known_sender(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.track(event())
    held = Held(lambda body: b"rc_wrong" in body)
    monkeypatch.setattr(handler, "unpack", held)
    strange = [
        asyncio.create_task(
            bench.track(filling(STRANGE, writeKey="rc_wrong"), headers=without_key())
        )
        for _ in range(50)
    ]
    await eventually(held.begun.is_set)
    for size in (LARGE, STRANGE, 1_000):
        answer, _ = await bench.track(filling(size, writeKey=KEY), headers=with_key())
        assert answer.status == 200
    assert sum(name.startswith("unauthenticated") for name in held.threads) == 1
    held.open.set()
    for task in strange:
        with pytest.raises(UnauthorizedError):
            await task


@pytest.mark.parametrize(("size", "is_own"), [(STRANGE, True), (16 * 1024, False)])
async def test_only_large_bodies_without_a_key_go_to_their_thread(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, size: int, *, is_own: bool
) -> None:
    held = Held(lambda _: False)
    monkeypatch.setattr(handler, "unpack", held)
    with pytest.raises(UnauthorizedError):
        await bench.track(filling(size, writeKey="rc_wrong"), headers=without_key())

    assert [name.startswith("unauthenticated") for name in held.threads] == [is_own]


@pytest.mark.parametrize("headers", [with_key(), without_key()])
async def test_body_that_expires_in_a_thread_holds_its_bytes_until_the_thread_is_done(
    hasty: Bench, monkeypatch: pytest.MonkeyPatch, headers: list[tuple[bytes, bytes]]
) -> None:
    hasty.answer_within(20)
    await hasty.track(event())
    hasty.answer_within(0.1)
    held = Held(lambda _: True)
    monkeypatch.setattr(handler, "unpack", held)
    with pytest.raises(OverloadedError, match="took too long"):
        await hasty.track(filling(LARGE, writeKey=KEY), headers=headers)
    scheduler, budget = hasty.services.scheduler, hasty.services.budget
    assert (budget.used, scheduler.active > 0) == (LARGE, True)

    held.open.set()
    await eventually(lambda: (budget.used, scheduler.active) == (0, 0))
    assert len(hasty.commits.settled) == 1  # the event that made the key known


async def test_long_key_is_refused_and_never_looked_up_or_cached(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError

    for name in ("get_cached", "source_of", "last_known"):
        monkeypatch.setattr(KeyCache, name, fail)
    long_key = "rc_" + "x" * 126
    for body, headers in (
        (event(), without_key((b"key", long_key.encode()))),
        (event(writeKey=long_key), without_key()),
    ):
        with pytest.raises(UnauthorizedError):
            await bench.track(body, headers=headers)


@pytest.mark.parametrize(
    ("start", "is_known"),
    [
        (b"POST /track HTTP/1.1\r\nAuthorization: Bearer rc_known\r\n", True),
        (b"POST /track HTTP/1.1\r\nX-Write-Key:rc_known\r\n", True),
        (b'{"writeKey": "rc_known"', True),
        (b"POST /track HTTP/1.1\r\nAuthorization: Bearer rc_wrong\r\n", False),
        (b"GET /docs HTTP/1.1\r\n", False),
        (b" " * 4096 + b"rc_known", False),
    ],
)
async def test_known_key_is_seen_in_the_first_bytes(
    bench: Bench, start: bytes, *, is_known: bool
) -> None:
    await bench.track(event())

    assert bench.services.shows_known_key(start) == is_known


async def test_key_of_128_bytes_is_looked_up(bench: Bench) -> None:
    key = "rc_" + "x" * 125
    bench.keys.accept(key)

    answer, _ = await bench.track(event(), headers=without_key((b"key", key.encode())))
    assert answer.status == 200


async def test_what_arrives_before_a_key_is_looked_up_has_a_shared_limit(
    bench: Bench,
) -> None:
    bench.keys.open.clear()
    requests = [begin(bench, (b"key", b"rc_%d" % number)) for number in range(40)]
    for request in requests:
        request.feed(b" " * 100_000)

    assert 2 * MIB - 200_000 < bench.services.unauthenticated.used <= 2 * MIB
    assert sum(bool(request._early) for request in requests) == 21  # noqa: SLF001 - those that hold bytes
    bench.keys.open.set()
    await eventually(lambda: all(request.is_done for request in requests))
    assert bench.services.unauthenticated.used == 0


async def test_what_arrives_before_a_known_key_is_looked_up_again_is_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.track(event())
    monkeypatch.setattr(KeyCache, "get_cached", lambda *_: None)  # as after a while
    bench.keys.open.clear()
    request = begin(bench, (b"key", KEY.encode()))
    request.feed(b" " * 1_000)
    used = bench.services.budget.used, bench.services.unauthenticated.used
    request.disconnect()

    assert used == (1_000, 0)


def test_small_parts_of_a_body_take_little_more_memory_than_their_bytes() -> None:
    reader = BodyReader(Framing(None, 0), max_bytes=MIB, grow=lambda _: None)
    tracemalloc.start()
    for _ in range(100_000):
        reader.feed(bytes((1, 2)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert reader.finish() == b"\1\2" * 100_000
    assert held < 300_000


def test_parts_of_a_body_keep_their_order() -> None:
    reader = BodyReader(Framing(None, 0), max_bytes=MIB, grow=lambda _: None)
    parts = [b"a", b"b", b"c" * 2_000, b"d", b"e" * 1_024, b"f" * 1_023, b"g"]
    for part in parts:
        reader.feed(part)

    assert reader.finish() == b"".join(parts)

"""A connection on fakes: deadlines, refusals and flow control."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest

from app.http.connection import MAX_PIPELINED_WITHOUT_KEY
from app.http.monitor import ConnectionMonitor
from app.ingest.load.pacer import Pacer
from app.ingest.load.source_queue import SourceQueue, Ticket
from app.metrics.counters import Metrics
from tests.support.durations import least_s
from tests.support.eventually import eventually
from tests.support.http.connecting import LIMITS, Wire, post
from tests.support.ingest.tracking import Bench, event

GET = b"GET /docs HTTP/1.1\r\nHost: r\r\n\r\n"


@pytest.fixture
async def hasty() -> AsyncIterator[Bench]:
    """One whose requests have half a second."""
    bench = Bench(answer_s=0.5)
    bench.writer.start()
    await bench.track(event())
    yield bench
    await bench.close()


async def test_time_of_a_pipelined_request_begins_with_its_last_byte(
    hasty: Bench,
) -> None:
    hasty.commits.open.clear()

    async def send_three() -> None:
        wire = Wire(hasty)
        wire.send(*[post()] * 3)
        assert await wire.responses(3) == [503, 503, 503]

    # With a time of its own for each it takes 1.5.
    assert await least_s(send_three, enough_s=0.9) < 0.9


async def test_time_of_a_body_begins_before_a_key_is_looked_up_that_delays_it(
    hasty: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = count()
    monkeypatch.setattr("app.http.output.waited_s", lambda _: 0.4)  # as a kernel tells

    async def send_with_unknown_key() -> None:
        key = f"rc_newer{next(numbers)}"
        hasty.keys.accept(key)
        hasty.keys.open.clear()
        hasty.commits.open.clear()
        wire = Wire(hasty)
        request = post(key=key, body=event())
        wire.send(request[:-1])
        asyncio.get_running_loop().call_later(0.4, hasty.keys.open.set)
        await eventually(lambda: wire.transport.reads)
        wire.send(request[-1:])
        assert await wire.responses(1) == [503]

    # With all of its time after the key it takes 0.9.
    assert await least_s(send_with_unknown_key, enough_s=0.8) < 0.8


async def test_request_whose_turn_comes_too_late_is_refused_and_not_worked_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets: list[Ticket] = []

    def enter(_source: str, _size: int, start: Callable[[], None], **_: Any) -> Ticket:
        queue = SourceQueue(Pacer(1.0, time.monotonic))
        tickets.append(Ticket(queue, 1, 1, start))
        return tickets[-1]

    monkeypatch.setattr(bench.services.scheduler, "enter", enter)
    wire = Wire(bench)
    wire.send(post())
    assert not wire.statuses
    tickets[0].is_done = True
    tickets[0].start()

    assert await wire.responses(1) == [503]


async def test_response_is_sent_although_counting_it_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Metrics, "count_request", fail)
    wire = Wire(bench)
    wire.send(post())

    assert await wire.responses(1) == [200]
    assert "request failed after its end" in caplog.text


async def test_connection_ends_if_its_response_cannot_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(bench)
    monkeypatch.setattr(wire.monitor, "header_lines", lambda _: 1 / 0)
    wire.send(post())
    await eventually(wire.transport.is_closing)

    assert wire.statuses == []


async def test_refusal_of_a_slow_client_says_once_that_the_connection_ends(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    wire.send(post()[:-1])
    wire.connection.check(asyncio.get_running_loop().time() + 2 * LIMITS.body_s)

    assert wire.statuses == [408]
    assert wire.transport.written.count(b"\r\nconnection: close\r\n") == 1


@pytest.mark.parametrize("more", [[], [b"Connection: Upgrade", b"Upgrade: h2c"]])
async def test_client_without_a_key_has_few_requests_begun_in_one_read(
    bench: Bench, more: list[bytes]
) -> None:
    wire = Wire(bench)
    wire.send(post(b"[]", *more, key="rc_long" * 50) * 1_000)

    assert wire.statuses == [401] * (1 + MAX_PIPELINED_WITHOUT_KEY) + [400]
    assert wire.transport.is_closing()


async def test_known_sender_has_many_requests_in_one_read(bench: Bench) -> None:
    wire = Wire(bench)
    wire.send(*[post(b"[]")] * 50)

    assert await wire.responses(50) == [400] * 50
    assert not wire.transport.is_closing()


async def test_bytes_behind_declined_upgrades_are_not_copied_for_each(
    bench: Bench,
) -> None:
    padding = b"X: " + b"x" * 16_000
    upgraded = post(b"[]", b"Connection: Upgrade", b"Upgrade: h2c", padding)
    # Refused at once: others take turns, and no more than a hundred may wait.
    upgraded = upgraded.replace(b"POST", b"PUT")

    def growth() -> float:
        wire = Wire(bench)
        wire.send(post(b"[]"))
        seconds = []
        for times in (100, 2_000):
            began = time.process_time()
            wire.send(upgraded * times)
            seconds.append(time.process_time() - began)
        assert wire.statuses == [400] + [405] * 2_100
        return seconds[1] / seconds[0]

    # 20 times as many; copies made it 230.
    assert any(growth() < 80 for _ in range(4))


async def test_refused_connection_is_left_unread_for_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.services.budget.limit = 10
    monkeypatch.setattr(bench.services.scheduler, "back_off_s", lambda _: 2.5)
    wire = Wire(bench)
    wire.send(post())
    assert (await wire.responses(1), wire.transport.reads) == ([503], False)
    bench.services.budget.limit = 10_000
    await eventually(lambda: wire.transport.reads)
    wire.send(post())

    assert await wire.responses(2) == [503, 200]


async def test_time_of_a_request_that_was_left_unread_begins_with_its_arrival(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals: list[float] = []
    enter = bench.services.scheduler.enter

    def note(*arguments: Any, arrived_at: float) -> Ticket:
        arrivals.append(arrived_at)
        return enter(*arguments)

    monkeypatch.setattr(bench.services.scheduler, "enter", note)
    monkeypatch.setattr("app.http.output.waited_s", lambda _: 1.5)
    clock = asyncio.get_running_loop().time
    wire = Wire(bench)
    wire.connection.back_off(0.02)
    await eventually(lambda: wire.transport.reads)
    sent = clock()
    wire.send(post())
    await wire.responses(1)
    answered = clock()
    wire.send(post())

    assert await wire.responses(2) == [200, 200]
    assert sent - 1.5 <= arrivals[0] <= answered - 1.5
    assert arrivals[1] >= answered


async def test_time_of_a_request_that_waited_for_the_start_begins_with_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.output.waited_s", lambda _: 3600.0)
    late = Wire(bench)
    late.send(post())
    assert await late.responses(1) == [503]
    monitor = ConnectionMonitor(LIMITS, bench.metrics)
    sweeping = asyncio.create_task(monitor.run())
    await eventually(lambda: monitor.began_at > 0)
    waited = Wire(bench, monitor)
    waited.send(post())

    assert await waited.responses(1) == [200]
    sweeping.cancel()


@pytest.mark.parametrize(
    ("pause_s", "unread_s", "retry_after"),
    [(0.0, 0.0, b"1"), (0.5, 0.1, b"1"), (1.5, 0.3, b"2"), (5.0, 1.0, b"5")],
)
async def test_refused_client_is_read_again_long_before_it_shall_send_again(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    pause_s: float,
    unread_s: float,
    retry_after: bytes,
) -> None:
    bench.services.budget.limit = 10
    monkeypatch.setattr(bench.services.scheduler, "back_off_s", lambda _: pause_s)
    wire, unread = Wire(bench), list[float]()
    monkeypatch.setattr(wire.connection, "back_off", unread.append)
    wire.send(post())

    assert await wire.responses(1) == [503]
    assert unread == pytest.approx([unread_s])
    assert b"retry-after: %b\r\n" % retry_after in wire.transport.written


async def test_unfinished_request_without_a_known_key_makes_its_connection_unproven(
    bench: Bench,
) -> None:
    wires = known, busy, head, body = [Wire(bench) for _ in range(4)]
    known.send(post())
    await known.responses(1)
    bench.commits.open.clear()
    busy.send(post())
    head.send(b"POST /track HTTP/1.1\r\nHost: r\r\n")
    body.send(post(key="")[:-1])
    found = [(wire.connection.is_idle, wire.connection.is_unproven) for wire in wires]

    assert found == [(True, False), (False, False), (False, True), (False, True)]


async def test_newest_connection_takes_the_place_of_an_idle_one(bench: Bench) -> None:
    monitor = ConnectionMonitor(LIMITS, bench.metrics, max_connections=2)
    known, idle = (Wire(bench, monitor) for _ in range(2))
    known.send(post())
    await known.responses(1)
    newest = Wire(bench, monitor)

    wires = (known, idle, newest)
    assert [wire.transport.is_closing() for wire in wires] == [False, True, False]


async def test_clients_without_a_key_are_paused_and_known_ones_are_not(
    bench: Bench,
) -> None:
    unknown, sender, _ = wires = [Wire(bench) for _ in range(3)]
    sender.connection.trust()
    reader_get = GET.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer rc_read\r\n\r\n")
    for wire, request in zip(wires, (GET, post(b"[]"), reader_get), strict=True):
        for _ in range(100):
            wire.monitor.unauthenticated_pause_s()
        wire.send(request)
        await wire.responses(1)
        assert wire.transport.reads == (wire is not unknown)

    await eventually(lambda: unknown.transport.reads)
    unknown.send(GET)
    assert len(await unknown.responses(2)) == 2


async def test_oldest_unfinished_headers_are_refused_where_all_together_are_too_large(
    bench: Bench,
) -> None:
    monitor = ConnectionMonitor(LIMITS, bench.metrics)
    start = b"GET /docs HTTP/1.1\r\nHost: r\r\nX: " + b"x" * 60_000
    wires = [Wire(bench, monitor) for _ in range(400)]
    for wire in wires:
        wire.send(start)
        await eventually(lambda: monitor.inbox.size == 0)
    refused = [wire.statuses == [503] for wire in wires]
    # 16 MiB beyond the first 8 KiB of each; those that began first make room.
    assert 70 < sum(refused) < 80
    assert all(refused[: sum(refused)])
    assert [wire.transport.is_closing() for wire in wires] == refused
    assert monitor.unfinished_headers.used <= 16 * 2**20

    small = Wire(bench, monitor)
    small.send(GET[:30], GET[30:-1])
    small.send(GET[-1:])
    assert await small.responses(1) == [204]
    sender = Wire(bench, monitor)
    long = post(None, b"X: " + b"x" * 60_000)
    sender.send(long[:50_000])
    sender.send(long[50_000:])
    assert await sender.responses(1) == [200]
    wires[-1].send(b"\r\n\r\n")
    assert await wires[-1].responses(1) == [204]
    for wire in wires:
        wire.connection.connection_lost(None)
    assert monitor.unfinished_headers.used == 0


async def test_large_body_without_a_key_may_not_wait_behind_another_request(
    bench: Bench,
) -> None:
    bench.keys.open.clear()
    wire, large = Wire(bench), post(b" " * 20_000, key="")
    wire.send(post(key="rc_new") + large)
    bench.keys.open.set()

    assert await wire.responses(1) == [401]
    assert wire.transport.is_closing()
    sender = Wire(bench)
    sender.connection.trust()
    sender.send(post(), post(b" " * 2_000))
    assert await sender.responses(2) == [200, 400]


async def test_small_chunks_of_a_known_sender_are_no_unfinished_headers(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    wire.monitor.unfinished_headers.used = 16 * 2**20  # without a key
    head, _, body = post().partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    chunks = [b"1\r\n%c\r\n" % byte for byte in body + b" " * 2_000]
    wire.send(head, b"\r\n\r\n", *chunks)
    wire.send(b"0\r\n\r\n")

    assert await wire.responses(1) == [200]


async def test_body_that_no_page_reads_is_not_kept(bench: Bench) -> None:
    wire = Wire(bench)
    request = post(b"x" * 50_000).replace(b"/track", b"/other")
    wire.send(request[:-1])
    assert await wire.responses(1) == [204]

    exchange = wire.connection._current  # noqa: SLF001 - what is held has no other trace
    assert exchange is not None
    assert (exchange.receiver, exchange.early) == (None, b"")

"""The inbox: bytes that are parsed at once, bytes that wait, and their order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.http.inbox import PER_ITERATION, ConnectionInbox, Inbox
from app.request_errors import RequestError
from tests.support.eventually import eventually
from tests.support.http.connecting import Wire, post
from tests.support.ingest.tracking import Bench


@dataclass
class Turns:
    """An event loop whose turns a test begins."""

    calls: list[Callable[[], None]] = field(default_factory=list)

    def call_soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class Client:
    """A connection that keeps the bytes it has parsed."""

    def __init__(
        self, inbox: Inbox, parsed: list[bytes], *, is_known: bool = False
    ) -> None:
        self.parsed = parsed
        self.is_known = is_known
        self.is_read = True
        self.refused: list[str] = []
        self.arrivals = ConnectionInbox(inbox, self, is_known=lambda _: False)

    def send(self, data: bytes) -> None:
        """Have bytes arrive."""
        self.arrivals.add(data, at_once=False)

    def arrival_time(self) -> float:
        return 0.0

    def parse(self, data: bytes) -> bool:
        self.parsed.append(data)
        return self.is_known

    def pause(self, reason: str, *, paused: bool = True) -> None:
        assert reason == "turn"
        self.is_read = not paused

    def refuse(self, error: RequestError) -> None:
        self.refused.append(error.code)


def fill(inbox: Inbox) -> None:
    """Have as many arrive as are parsed at once."""
    for _ in range(PER_ITERATION):
        assert inbox.has_room(1)


def counted(turns: Turns, parsed: list[bytes]) -> list[int]:
    """How many were parsed at first and after each turn that parsed any."""
    counts = [len(parsed)]
    while turns.calls:
        turns.turn()
        if len(parsed) > counts[-1]:
            counts.append(len(parsed))
    return counts


async def test_burst_is_parsed_in_parts_and_in_its_order() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    sent = [b"%d" % number for number in range(2 * PER_ITERATION + 1)]
    for data in sent:
        Client(inbox, parsed).send(data)

    assert counted(turns, parsed) == [
        PER_ITERATION,
        2 * PER_ITERATION,
        2 * PER_ITERATION + 1,
    ]
    assert parsed == sent


async def test_arrival_waits_behind_those_of_the_turn_before() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(2 * PER_ITERATION + 1):
        Client(inbox, parsed).send(b"burst")
    turns.turn()
    Client(inbox, parsed).send(b"later")
    assert len(parsed) == 2 * PER_ITERATION
    turns.turn()

    assert parsed[-2:] == [b"burst", b"later"]


async def test_requests_that_turn_out_to_have_a_known_key_do_not_fill_a_turn() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    fill(inbox)
    for number in range(3 * PER_ITERATION):
        Client(inbox, parsed, is_known=True).send(b"%d" % number)
    turns.turn()

    assert len(parsed) == 3 * PER_ITERATION


async def test_parts_of_one_connection_are_parsed_together() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(PER_ITERATION):
        Client(inbox, []).send(b"burst")
    one = Client(inbox, parsed)
    one.send(b"GET ")
    one.send(b"/")
    assert not parsed
    turns.turn()
    turns.turn()

    assert parsed == [b"GET /"]


async def test_bytes_that_fail_to_be_parsed_keep_no_others_waiting() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    fill(inbox)
    failing, other = Client(inbox, []), Client(inbox, parsed)
    failing.send(b"failing")
    del failing.parsed
    other.send(b"other")
    with pytest.raises(AttributeError):
        turns.turn()
    turns.turn()

    assert parsed == [b"other"]


async def test_large_parts_count_for_several() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(6):
        Client(inbox, parsed).send(bytes(60 * 1024))

    assert counted(turns, parsed) == [1, 2, 3, 4, 5, 6]


async def test_parts_of_one_connection_count_together_when_they_are_parsed() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    fill(inbox)
    large = Client(inbox, parsed)
    for _ in range(4):
        large.send(bytes(4 * 1024))
    for _ in range(PER_ITERATION):
        Client(inbox, parsed).send(b"small")

    # Its 16 KiB take the place of five.
    assert counted(turns, parsed) == [0, 1 + PER_ITERATION - 5, 1 + PER_ITERATION]


async def test_connection_with_many_waiting_bytes_is_not_read_until_its_turn() -> None:
    turns = Turns()
    inbox = Inbox(turns.call_soon)
    fill(inbox)
    small, large = Client(inbox, []), Client(inbox, [])
    small.send(bytes(16 * 1024))
    for _ in range(5):
        assert large.is_read
        large.send(bytes(4 * 1024))
    assert (small.is_read, large.is_read) == (True, False)
    while turns.calls:
        turns.turn()

    assert large.is_read
    assert large.parsed == [bytes(20 * 1024)]


async def test_large_part_is_refused_where_too_many_bytes_wait() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    fill(inbox)
    waiting = [Client(inbox, parsed) for _ in range(128)]
    for client in waiting:
        client.send(bytes(64 * 1024))
    one, other = Client(inbox, parsed), Client(inbox, parsed)
    one.send(bytes(4 * 1024 + 1))
    other.send(bytes(4 * 1024))
    waiting[0].send(b".")
    assert not parsed
    assert one.refused == waiting[0].refused == ["overloaded"]
    while turns.calls:
        turns.turn()

    assert not other.refused
    assert len(parsed) == len(waiting) + 1
    assert inbox.size == 0


async def test_flood_is_refused_with_one_response_and_a_probe_is_not(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    flood = [Wire(bench, wire.monitor) for _ in range(150)]
    for each in flood:
        each.send(b"GET / HTTP/1.1\r\nHost: r\r\nX: %b\r\n\r\n" % (60_000 * b"a"))
        assert each.transport.reads is each.transport.is_closing()
    wire.send(b"GET /livez HTTP/1.1\r\nHost: r\r\n\r\n")

    assert await wire.responses(1) == [204]
    assert await flood[0].responses(1) == [204]
    assert await flood[-1].responses(1) == [503]
    assert b"\r\nretry-after: " in flood[-1].transport.written
    assert flood[-1].transport.is_closing()


async def test_connection_is_read_again_once_its_bytes_are_parsed(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    wire.send(b"GET / HTTP/1.1\r\nHost: r\r\nX: " + 20_000 * b"a")
    assert not wire.transport.reads
    await eventually(lambda: wire.transport.reads)
    wire.send(b"\r\n\r\n")

    assert await wire.responses(1) == [204]


async def test_request_is_answered_whose_client_half_closes_before_it_is_parsed(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    wire.send(b"GET /docs HTTP/1.1\r\nHost: r\r\n\r\n")
    assert not wire.connection.is_idle
    assert wire.connection.eof_received()

    assert await wire.responses(1) == [204]


async def test_client_that_half_closes_is_not_parsed_before_its_turn(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    flood = [Wire(bench, wire.monitor) for _ in range(2 * PER_ITERATION)]
    for each in flood:
        each.send(b"GET /docs HTTP/1.1\r\nHost: r\r\n\r\n")
        assert each.connection.eof_received()
    assert all(each.connection.arrivals.waiting for each in flood)
    wire.send(b"GET /docs HTTP")
    assert wire.connection.eof_received()

    for each in flood:
        assert await each.responses(1) == [204]
        assert each.transport.is_closing()
    await eventually(wire.transport.is_closing)
    assert wire.statuses == []


async def test_request_with_a_known_key_does_not_wait_for_those_without(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    wire.send(post(key="rc_unknown"))
    assert wire.connection.arrivals.waiting
    other = Wire(bench, wire.monitor)
    other.send(post())

    assert other.connection.has_known_key
    assert await other.responses(1) == [200]


async def test_connection_with_a_known_key_does_not_wait_for_those_without(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    wire.send(post())
    await wire.responses(1)
    fill(wire.monitor.inbox)
    wire.send(b"POST /track HTTP/1.1\r\nHost: r\r\n")

    assert not wire.connection.is_idle
    assert not wire.connection.arrivals.waiting


async def test_time_of_a_request_begins_before_it_is_parsed(bench: Bench) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    clock = asyncio.get_running_loop().time
    began = clock()
    wire.send(post(key=""))
    sent = clock()
    assert wire.connection.arrivals.waiting
    await wire.responses(1)

    assert began <= wire.connection.arrivals.arrived_at() <= sent

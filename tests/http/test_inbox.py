"""The inbox: bytes that are parsed at once, bytes that wait, and their order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from app.http.inbox import PER_TURN, Arrivals, Inbox
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


class Client(Arrivals):
    """A connection that keeps the bytes it has parsed."""

    def __init__(
        self, inbox: Inbox, parsed: list[bytes], *, is_known: bool = False
    ) -> None:
        def parse(data: bytes) -> bool:
            parsed.append(data)
            return is_known

        super().__init__(
            inbox, clock=lambda: 0.0, is_known=lambda _: False, parse=parse
        )

    def send(self, data: bytes) -> None:
        """Have bytes arrive."""
        self.add(data, at_once=False)


def fill(inbox: Inbox) -> None:
    """Have as many arrive as are parsed at once."""
    for _ in range(PER_TURN):
        assert inbox.has_room()


async def test_burst_is_parsed_in_parts_and_in_its_order() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    sent = [b"%d" % number for number in range(2 * PER_TURN + 1)]
    for data in sent:
        Client(inbox, parsed).send(data)
    counts = [len(parsed)]
    while turns.calls:
        turns.turn()
        counts.append(len(parsed))

    assert counts == [PER_TURN, 2 * PER_TURN, 2 * PER_TURN + 1]
    assert parsed == sent


async def test_arrival_waits_behind_those_of_the_turn_before() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(2 * PER_TURN + 1):
        Client(inbox, parsed).send(b"burst")
    turns.turn()
    Client(inbox, parsed).send(b"later")
    assert len(parsed) == 2 * PER_TURN
    turns.turn()

    assert parsed[-2:] == [b"burst", b"later"]


async def test_requests_that_turn_out_to_have_a_known_key_do_not_fill_a_turn() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    fill(inbox)
    for number in range(3 * PER_TURN):
        Client(inbox, parsed, is_known=True).send(b"%d" % number)
    turns.turn()

    assert len(parsed) == 3 * PER_TURN


async def test_parts_of_one_connection_are_parsed_together() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(PER_TURN):
        Client(inbox, []).send(b"burst")
    one = Client(inbox, parsed)
    one.send(b"GET ")
    one.send(b"/")
    assert not parsed
    turns.turn()
    turns.turn()

    assert parsed == [b"GET /"]


async def test_bytes_are_parsed_at_once_where_too_many_wait() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(PER_TURN):
        Client(inbox, []).send(b"burst")
    for data in (bytes(8 * 1024 * 1024 - 1), b".", b"."):
        Client(inbox, parsed).send(data)
    assert not parsed
    Client(inbox, parsed).send(b"next")

    assert parsed == [b"next"]


async def test_request_is_answered_whose_client_half_closes_before_it_is_parsed(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    fill(wire.monitor.inbox)
    wire.send(b"GET /docs HTTP/1.1\r\nHost: r\r\n\r\n")
    assert not wire.connection.is_idle
    assert wire.connection.eof_received()

    assert await wire.responses(1) == [204]


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

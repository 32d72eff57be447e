"""The inbox: bytes that are parsed at once, bytes that wait, and their order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from app.http.arrivals import Arrivals
from app.http.inbox import PER_TURN, Inbox
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


def arrivals(inbox: Inbox, parsed: list[bytes]) -> Arrivals:
    """Those of a connection that keeps the bytes it has parsed."""
    return Arrivals(inbox, lambda: 0.0, parsed.append)


async def test_burst_is_parsed_in_parts_and_in_its_order() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    sent = [b"%d" % number for number in range(2 * PER_TURN + 1)]
    for data in sent:
        arrivals(inbox, parsed).add(data)
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
        arrivals(inbox, parsed).add(b"burst")
    turns.turn()
    arrivals(inbox, parsed).add(b"later")
    assert len(parsed) == 2 * PER_TURN
    turns.turn()

    assert parsed[-2:] == [b"burst", b"later"]


async def test_parts_of_one_connection_are_parsed_together() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(PER_TURN):
        arrivals(inbox, []).add(b"burst")
    one = arrivals(inbox, parsed)
    one.add(b"GET ")
    one.add(b"/")
    assert not parsed
    turns.turn()
    turns.turn()

    assert parsed == [b"GET /"]


async def test_bytes_are_parsed_at_once_where_too_many_wait() -> None:
    turns, parsed = Turns(), list[bytes]()
    inbox = Inbox(turns.call_soon)
    for _ in range(PER_TURN):
        arrivals(inbox, []).add(b"burst")
    arrivals(inbox, parsed).add(bytes(8 * 1024 * 1024 - 1))
    arrivals(inbox, parsed).add(b".")
    arrivals(inbox, parsed).add(b".")
    assert not parsed
    arrivals(inbox, parsed).add(b"next")

    assert parsed == [b"next"]


async def test_request_is_answered_whose_client_half_closes_before_it_is_parsed(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    for _ in range(PER_TURN):
        assert wire.monitor.inbox.has_room()
    wire.send(post())
    assert not wire.connection.is_idle
    assert wire.connection.eof_received()

    assert await wire.responses(1) == [200]


async def test_time_of_a_request_begins_before_it_is_parsed(bench: Bench) -> None:
    wire = Wire(bench)
    for _ in range(PER_TURN):
        assert wire.monitor.inbox.has_room()
    clock = asyncio.get_running_loop().time
    began = clock()
    wire.send(post())
    sent = clock()
    await wire.responses(1)

    assert began <= wire.connection.arrivals.arrived_at() <= sent

"""Requests whose head is known from an earlier one: answered as any other."""

import logging
from typing import Any

import pytest

from app.http.head import KnownHeads, read_head
from app.http.monitor import ConnectionMonitor
from app.http.upgrade import RequestParser
from app.ingest.dispatch import Dispatcher
from tests.support.http.connecting import LIMITS, Wire, post
from tests.support.ingest.tracking import Bench

BODY = b"[]"  # refused with 400, without a commit
CHUNKED = post(b"", b"Transfer-Encoding: chunked").replace(
    b"Content-Length: 0\r\n", b""
)


class Parsed:
    """Counts the reads that reach the parser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        feed = RequestParser.feed

        def counted(parser: RequestParser, data: bytes) -> None:
            self.count += 1
            feed(parser, data)

        monkeypatch.setattr(RequestParser, "feed", counted)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    return Parsed(monkeypatch)


@pytest.fixture
def monitor(bench: Bench) -> ConnectionMonitor:
    return ConnectionMonitor(LIMITS, bench.metrics)


@pytest.mark.parametrize("more", [[], [b"Connection: Upgrade", b"Upgrade: h2c"]])
async def test_repeated_head_is_parsed_once(
    bench: Bench, parsed: Parsed, monitor: ConnectionMonitor, more: list[bytes]
) -> None:
    request = post(BODY, *more)
    wire = Wire(bench, monitor)
    for _ in range(5):
        wire.send(request)
    other = Wire(bench, monitor)
    other.send(request)
    other.send(request)

    assert wire.statuses == [400] * 5
    assert other.statuses == [400] * 2
    assert parsed.count == 1


async def test_event_behind_a_known_head_is_stored(
    bench: Bench, parsed: Parsed
) -> None:
    wire = Wire(bench)
    for _ in range(4):
        wire.send(post())
        await wire.responses(1)

    assert await wire.responses(4) == [200] * 4
    assert parsed.count == 1


@pytest.mark.parametrize(
    "reads",
    [
        [post(BODY)[:-1], post(BODY)[-1:]],
        [post(BODY)[:9], post(BODY)[9:]],
        [post(BODY) + post(BODY)[:9], post(BODY)[9:]],
        [post(BODY) + b"\r\n", post(BODY)],
        [b"\r\n", post(BODY)],
        [post(BODY) * 3],
    ],
)
async def test_known_head_with_part_of_its_body_or_more_goes_to_the_parser(
    bench: Bench, reads: list[bytes]
) -> None:
    wire = Wire(bench)
    wire.send(post(BODY))
    wire.send(post(BODY))
    for read in reads:
        wire.send(read)
    wire.send(post(BODY))
    sent = b"".join(reads).count(b"POST")

    assert await wire.responses(sent + 3) == [400] * (sent + 3)


@pytest.mark.parametrize(
    "request_",
    [
        CHUNKED + b"2\r\n[]\r\n0\r\n\r\n",
        post(BODY, b"Expect: 100-continue"),
        post(BODY, b"X-Long: " + b"x" * 2_048),
        post(BODY).replace(b"Content-Length: 2", b"Content-Length: " + b"0" * 9 + b"2"),
        post(BODY) * 2,
    ],
)
async def test_head_that_is_rare_or_not_alone_is_parsed_each_time(
    bench: Bench, parsed: Parsed, request_: bytes
) -> None:
    wire = Wire(bench)
    for _ in range(5):
        wire.send(request_)

    assert set(wire.statuses) <= {100, 400}
    assert parsed.count == 5


async def test_head_without_a_key_is_not_kept(bench: Bench, parsed: Parsed) -> None:
    wire = Wire(bench)
    for _ in range(5):
        wire.send(post(BODY, key="rc_unknown" * 20))

    assert wire.statuses == [401] * 5
    assert parsed.count == 5


async def test_nothing_is_read_behind_a_request_that_ends_the_connection(
    bench: Bench,
) -> None:
    wire = Wire(bench)
    wire.send(post(BODY))
    wire.send(post(BODY))
    bench.commits.open.clear()
    wire.send(post(None, b"Connection: close"))
    wire.send(post(BODY))
    assert wire.transport.reads  # it is discarded, and does not wait
    bench.commits.open.set()

    assert await wire.responses(3) == [400, 400, 200]
    assert wire.transport.is_closing()


async def test_defect_behind_a_known_head_is_answered_with_500(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    wire = Wire(bench)
    wire.send(post(BODY))
    wire.send(post(BODY))
    monkeypatch.setattr(Dispatcher, "begin", fail)
    with caplog.at_level(logging.ERROR):
        wire.send(post(BODY))

    assert wire.statuses == [400, 400, 500]
    assert "request failed" in caplog.text


def test_number_of_known_heads_is_bounded() -> None:
    heads = KnownHeads()
    requests = [post(BODY, b"X-Number: %d" % number) for number in range(300)]
    head = read_head(
        b"POST", b"/track", "1.1", [(b"host", b"r"), (b"content-length", b"2")]
    )
    head.keep_alive = True
    for request in requests:
        heads.add(request, head)

    assert sum(heads.find(request) is not None for request in requests) <= 256
    assert heads.find(requests[-1]) == (head, BODY)

"""Slow clients are disconnected at a deadline; idle and pipelining ones are not."""

import socket
from collections.abc import Iterator
from itertools import count

import pytest

from app.http.connection import MAX_PIPELINED
from tests.support.http.wire import (
    LAST_CHUNK,
    Wire,
    chunk,
    connected,
    event,
    head,
    request,
)
from tests.support.postgres.database import Database
from tests.support.service.process import Service, served, until

MIB = 1024 * 1024
CHUNKED = "Transfer-Encoding: chunked"
FORM = (
    b"POST /sign-in HTTP/1.1\r\nHost: r\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
)
# Between two bytes: far less than the deadlines of this service.
PACE_S = 0.02


@pytest.fixture(scope="module")
def hasty(
    own_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with short deadlines; none so short that a busy client misses one."""
    names = "header_timeout_seconds", "body_timeout_seconds", "write_timeout_seconds"
    deadlines = dict.fromkeys(names, "1")
    directory = tmp_path_factory.mktemp("hasty")
    with served(own_database.url, directory, **deadlines) as service:
        yield service


def trickled(service: Service, start: bytes, drip: bytes) -> bytes:
    """The whole response, while bytes are sent one after the other."""
    with socket.create_connection(service.endpoint, timeout=60) as connection:
        connection.sendall(start)
        connection.settimeout(PACE_S)
        received = b""
        for turn in count():
            try:
                part = connection.recv(MIB)
            except TimeoutError:
                at = turn % len(drip)
                connection.sendall(drip[at : at + 1])
                continue
            except ConnectionResetError:
                return received
            if not part:
                return received
            received += part
    raise AssertionError


def assert_serves(service: Service, key: str) -> None:
    with connected(service) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200


def test_unfinished_header_is_answered_408_and_closed(hasty: Service, key: str) -> None:
    with connected(hasty) as wire:
        wire.send(head(key)[:30])
        status, headers, answer = wire.answer()
        assert wire.is_closed()

    assert (status, answer["code"]) == (408, "slow_client")
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == answer["response_id"]


def test_trickling_header_is_answered_408_in_time(hasty: Service) -> None:
    answer = trickled(hasty, b"POST /track HTTP/1.1\r\nX-Pad: ", b"x")

    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("drip", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_white_space_before_a_request_buys_no_time(hasty: Service, drip: bytes) -> None:
    assert trickled(hasty, b"", drip) == b""


def test_silent_new_connection_is_closed_and_an_idle_one_kept(
    hasty: Service, key: str
) -> None:
    with connected(hasty) as used:
        used.send(request(key, event()))
        assert used.answer()[0] == 200
        for _ in range(2):
            with connected(hasty) as silent:
                assert silent.is_closed()
        used.send(request(key, event()))
        assert used.answer()[0] == 200


def test_rest_of_a_refused_body_is_awaited_for_a_limited_time(hasty: Service) -> None:
    answer = trickled(hasty, head("rc_unknown", length=MIB), b"x")

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_trickling_body_is_answered_408_in_time(hasty: Service, key: str) -> None:
    answer = trickled(hasty, head(key, length=MIB), b" ")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_trickling_body_of_a_get_buys_no_time(hasty: Service) -> None:
    get = b"GET /schemas HTTP/1.1\r\nHost: r\r\nContent-Length: 1000\r\n\r\n"
    answer = trickled(hasty, get, b"x")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_trickling_form_is_answered_408_in_time(hasty: Service) -> None:
    answer = trickled(hasty, FORM, b"x")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_form_whose_client_leaves_is_no_failure_of_the_service(
    hasty: Service,
) -> None:
    def seen() -> int:
        return hasty.log.read_bytes().count(b'"path":"/sign-in","status":408')

    before = seen()
    with connected(hasty) as wire:
        wire.send(FORM + b"key=rc_")
    until(lambda: seen() > before, within_s=60, what="the end of the request")
    trickled(hasty, FORM, b"x")
    until(lambda: seen() > before + 1, within_s=60, what="the end of the request")
    assert b"request failed" not in hasty.log.read_bytes()


def test_client_that_does_not_read_responses_is_disconnected(
    hasty: Service, key: str
) -> None:
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: rollcall\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(hasty.endpoint)
        with pytest.raises(ConnectionError):
            connection.sendall(ask * 1_000_000)

    assert_serves(hasty, key)
    assert b"request failed" not in hasty.log.read_bytes()


@pytest.mark.parametrize(
    "start",
    [
        chunk(b"{}") + b"0\r\nX-Trailer: ",
        b"2;extension=",
    ],
    ids=["trailer", "extension"],
)
@pytest.mark.parametrize("line", [b"x\r\nX-More: %b", b"%b"], ids=["many", "one"])
def test_chunk_framing_is_not_buffered(
    service: Service, key: str, start: bytes, line: bytes
) -> None:
    assert_serves(service, key)
    before = service.peak_memory()
    with connected(service) as wire:
        wire.send(head(key, CHUNKED) + start)
        with pytest.raises(ConnectionError):
            wire.send(100 * (line % (b"x" * MIB)))
    grown = service.peak_memory() - before

    assert grown < 32 * MIB


def test_trailers_are_no_headers(service: Service) -> None:
    with connected(service) as wire:
        wire.send(head("rc_unknown", CHUNKED).replace(b"Authorization", b"X-Not"))
        wire.send(chunk(event()) + LAST_CHUNK[:-2] + b"x-api-key: rc_late\r\n\r\n")
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (401, "unauthorized")
    assert "writeKey" in answer["detail"]


def answers(wire: Wire) -> list[int]:
    """All that come before the connection ends."""
    statuses = []
    while True:
        try:
            statuses.append(wire.answer()[0])
        except (ConnectionError, IndexError):
            return statuses


def test_pipelined_requests_on_one_connection_are_limited(
    service: Service, key: str
) -> None:
    one = request(key, event())
    for more, expected in ((1, MAX_PIPELINED + 1), (50, MAX_PIPELINED + 1)):
        with connected(service) as wire:
            wire.send(one)
            assert wire.answer()[0] == 200
            wire.send(one * (MAX_PIPELINED + more))
            if more > 1:
                assert answers(wire) == [200] * expected
                continue
            assert [wire.answer()[0] for _ in range(expected)] == [200] * expected


def test_connection_without_a_known_key_queues_one_request(
    service: Service,
) -> None:
    one = b"GET /schemas HTTP/1.1\r\nHost: rollcall\r\n\r\n"
    with connected(service) as wire:
        wire.send(one * 2)
        assert [wire.answer_text()[0] for _ in range(2)] == [200, 200]
        wire.send(one * 50)
        assert answers(wire) == [200, 200]


@pytest.mark.parametrize("second", [b"GET / HT", b"\x16\x03\r\n\r\n"])
def test_invalid_request_affects_none_before_it(
    hasty: Service, key: str, second: bytes
) -> None:
    with connected(hasty) as wire:
        wire.send(request(key, event()) + second)
        answered = answers(wire)

    assert answered[0] == 200
    assert answered[1:] in ([], [408])

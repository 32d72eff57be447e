"""Bytes on the connection: limits, early refusals, and later requests."""

from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest

from app.http.head import HEADER_WEIGHT, MAX_HEADER_BYTES
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
from tests.support.service.tenant import Tenant
from tests.system.conftest import Serve

MIB = 1024 * 1024
LIMIT = 10 * MIB
TOO_LARGE = "headers_too_large"
CHUNKED = "Transfer-Encoding: chunked"
EXPECTING = "Expect: 100-continue"
# Refused by its key before the body is read; refused by its length.
EARLY = pytest.mark.parametrize(
    ("known", "length", "expected"),
    [(False, 300_000, 401), (True, LIMIT + 1, 413)],
    ids=["401", "413"],
)


def padded(size: int) -> bytes:
    return event().ljust(size)


def test_body_of_exactly_the_limit_is_stored(tenant: Tenant) -> None:
    with connected(tenant.service) as wire:
        wire.send(request(tenant.key, padded(LIMIT)))
        status, _, answer = wire.answer()

    assert (status, answer["stored"]) == (200, 1)


def test_body_one_byte_over_the_limit_is_refused_by_its_header(
    tenant: Tenant,
) -> None:
    with connected(tenant.service) as wire:
        wire.send(head(tenant.key, length=LIMIT + 1))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(("over", "expected"), [(0, 200), (1, 413)])
def test_chunked_body_is_measured_as_it_arrives(
    tenant: Tenant, over: int, expected: int
) -> None:
    body = padded(LIMIT + over)
    with connected(tenant.service) as wire:
        wire.send(head(tenant.key, CHUNKED))
        for start in range(0, len(body), 1_000_003):
            wire.send(chunk(body[start : start + 1_000_003]))
        wire.send(LAST_CHUNK)
        status, _, _ = wire.answer()

    assert status == expected


def test_500_mb_are_refused_without_being_held(
    serve: Serve, database: Database
) -> None:
    service, key = serve(), database.key()
    with connected(service) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200
        before = service.peak_memory()

        wire.send(head(key, CHUNKED))
        megabyte = chunk(b" " * MIB)
        for _ in range(500):
            wire.send(megabyte)
        wire.send(LAST_CHUNK)
        status, _, _ = wire.answer()
        grown = service.peak_memory() - before

        wire.send(request(key, event()))
        assert wire.answer()[0] == 200, "the connection is out of step"

    assert status == 413
    assert grown < 64 * MIB


@EARLY
def test_connection_stays_in_step_after_a_refusal_with_a_body_unread(
    tenant: Tenant, *, known: bool, length: int, expected: int
) -> None:
    # The unread rest looks like requests; the service must not answer it.
    decoy = request(tenant.key, event("decoy"))
    body = (decoy * (length // len(decoy))).ljust(length)
    with connected(tenant.service) as wire:
        wire.send(request(tenant.key if known else "rc_unknown", body))
        wire.send(request(tenant.key, event("real")))
        refused, _, _ = wire.answer()
        status, _, answer = wire.answer()

    assert (refused, status, answer["stored"]) == (expected, 200, 1)
    assert tenant.rows("SELECT message_id FROM events WHERE source = :source") == [
        ("real",)
    ]


def test_response_of_a_route_has_a_date(tenant: Tenant) -> None:
    with connected(tenant.service) as wire:
        wire.send(request(tenant.key, event()))
        _, headers, _ = wire.answer()
        assert parsedate_to_datetime(headers["date"]).tzinfo is UTC
        assert headers["content-type"] == "application/json"


def show_key(wire: Wire, key: str) -> None:
    """Have a request accepted: a connection that did may pipeline many."""
    wire.send(request(key, event()))
    assert wire.answer()[0] == 200


def test_pipelined_requests_are_answered_in_their_order(tenant: Tenant) -> None:
    key = tenant.key
    with connected(tenant.service) as wire:
        show_key(wire, key)
        wire.send(
            request(key, event())
            + request("rc_unknown", event())
            + request(key, b"[")
            + request(key, event())
        )
        answers = [wire.answer() for _ in range(4)]

    assert [status for status, _, _ in answers] == [200, 401, 400, 200]
    assert answers[3][2]["duplicates"] == 1


def test_expect_continue_is_answered_100(tenant: Tenant) -> None:
    body = event()
    with connected(tenant.service) as wire:
        wire.send(head(tenant.key, EXPECTING, length=len(body)))
        interim, _, _ = wire.answer()
        wire.send(body)
        status, _, _ = wire.answer()

    assert (interim, status) == (100, 200)


@EARLY
def test_expect_continue_is_refused_before_the_body(
    tenant: Tenant, *, known: bool, length: int, expected: int
) -> None:
    key = tenant.key if known else "rc_unknown"
    with connected(tenant.service) as wire:
        wire.send(head(key, EXPECTING, length=length))
        status, _, _ = wire.answer()

    assert status == expected


def test_slow_body_is_answered_408_and_closed(serve: Serve, database: Database) -> None:
    with connected(serve(body_timeout_seconds="0.2")) as wire:
        wire.send(head(database.key(), length=100) + b'{"event":')
        status, headers, answer = wire.answer()
        assert wire.is_closed()

    assert (status, answer["code"]) == (408, "slow_client")
    assert headers["connection"] == "close"


@pytest.mark.parametrize(
    "start",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"POST /track HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"CONNECT rollcall:80 HTTP/1.1\r\nHost: rollcall:80\r\n\r\n",
    ],
    ids=["TLS", "length", "tunnel"],
)
def test_invalid_http_is_refused_as_a_problem(tenant: Tenant, start: bytes) -> None:
    with connected(tenant.service) as wire:
        wire.send(start)
        status, headers, answer = wire.answer()
        assert wire.is_closed()

    assert (status, answer["status"], answer["code"]) == (400, 400, "invalid_http")
    assert answer["message"] == answer["detail"]
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == answer["response_id"]


def padded_head(key: str, size: int) -> bytes:
    """Of a request for /track with `size` bytes of path and headers, and no body."""
    plain = head(key, "X-Pad: ", length=0).splitlines()
    used = len(b"/track") + sum(
        len(b"".join(line.split(b": ", 1))) + HEADER_WEIGHT for line in plain[1:-1]
    )
    return head(key, f"X-Pad: {'x' * (size - used)}", length=0)


@pytest.mark.parametrize(("over", "expected"), [(0, "empty_body"), (1, TOO_LARGE)])
def test_headers_are_taken_up_to_their_limit(
    tenant: Tenant, over: int, expected: str
) -> None:
    with connected(tenant.service) as wire:
        wire.send(padded_head(tenant.key, MAX_HEADER_BYTES + over))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (431 if over else 400, expected)


def test_heads_that_were_answered_count_no_more(tenant: Tenant) -> None:
    ask = b"GET /livez HTTP/1.1\r\nHost: rollcall\r\n"
    padded = ask + b"X-Pad: %b\r\n\r\n" % (b"x" * 60_000)
    with connected(tenant.service) as wire:
        for _ in range(32 * MAX_HEADER_BYTES // len(padded)):
            wire.send(padded)
            assert wire.answer()[0] == 200
        wire.send(ask + b"\r\n" + ask)
        assert wire.answer()[0] == 200
        wire.send(b"\r\n")
        assert wire.answer()[0] == 200


@pytest.mark.parametrize(
    "line",
    [b"X-Pad: %b\r\n" % (MIB * b"x"), MIB * b"x", b"a:\r\n" * (MIB // 4)],
    ids=["many", "one", "short"],
)
def test_headers_without_an_end_are_not_held(
    serve: Serve, database: Database, line: bytes
) -> None:
    service, key = serve(), database.key()
    with connected(service) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200
        before = service.peak_memory()

        wire.send(head(key)[:-2] + b"X-Pad: x\r\nX-More: ")
        with pytest.raises(ConnectionError):
            wire.send(100 * line)
        grown = service.peak_memory() - before

    assert grown < 4 * MIB

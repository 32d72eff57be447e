"""Streams of the live page: across workers, to their end, and cut short."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.http.wire import connected, event, request
from tests.support.postgres.database import Database
from tests.support.service.process import Service, until
from tests.system.conftest import Serve

# The service waits ten for requests in flight; a stream would keep it for all of them.
# A stream that is not ended lasts as long as its client.
ENDS_WITHIN_S = 30
REVOKED_WITHIN_S = 30
BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND state_change > now() - interval '1 s'
"""


def until_looked_at(database: Database, *, whether: bool) -> None:
    until(
        lambda: bool(database.scalar(BUSY)) is whether,
        within_s=60,
        what="a look at the events" if whether else "nobody looks",
    )


@contextmanager
def stream(service: Service, key: str) -> Iterator[httpx.Response]:
    headers = {"authorization": f"Bearer {key}"}
    with (
        httpx.Client(base_url=service.address, headers=headers, timeout=60) as client,
        client.stream("GET", "/live/stream") as response,
    ):
        yield response


def users(response: httpx.Response) -> Iterator[str]:
    """The users of the rows, as they arrive."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            for row in json.loads(line.removeprefix("data: ")).get("rows", ()):
                yield row["user_id"]


def send(service: Service, key: str, message_id: str) -> None:
    with connected(service) as wire:
        wire.send(request(key, event(message_id)))
        assert wire.answer()[0] == 200


@pytest.fixture
def read_key(database: Database) -> str:
    return database.key("ann", scope="read")


def test_each_worker_shows_events_of_all_and_all_end_at_once(
    serve: Serve, database: Database, read_key: str
) -> None:
    service = serve("--workers", "2")
    write_key = database.key()
    with (
        stream(service, read_key) as one,
        stream(service, read_key) as two,
        stream(service, read_key) as three,
        stream(service, read_key) as four,
    ):
        for number, response in enumerate((one, two, three, four)):
            assert response.status_code == 200
            send(service, write_key, f"m{number}")
        # Kept, because one that is let go closes its stream.
        watching = [users(response) for response in (one, two, three, four)]
        assert all(map(next, watching))
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < ENDS_WITHIN_S
        for seen in watching:
            list(seen)  # to an end in good order
    assert b"timeout graceful shutdown exceeded" not in service.log.read_bytes()


def test_stream_of_a_revoked_key_ends(
    serve: Serve, database: Database, read_key: str
) -> None:
    service = serve()
    with stream(service, read_key) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("retry:")
        database.rows(
            "UPDATE write_keys SET revoked_at = now() WHERE scope = 'read' RETURNING 1"
        )
        began = time.monotonic()
        assert list(lines)[-3:-1] == ["event: end", 'data: {"reason":"signed_out"}']
        # Its trust, and a second until it is asked for.
        assert time.monotonic() - began < REVOKED_WITHIN_S + 1
    with stream(service, read_key) as response:
        assert response.status_code == 401


def test_feed_stops_polling_without_watchers(
    serve: Serve, database: Database, read_key: str
) -> None:
    service = serve()
    with stream(service, read_key) as response:
        assert next(response.iter_lines()).startswith("retry:")
        until_looked_at(database, whether=True)
    until_looked_at(database, whether=False)


def test_feed_stops_polling_for_a_watcher_that_left_with_a_pipelined_request(
    serve: Serve, database: Database, read_key: str
) -> None:
    service = serve()
    ask = "GET {} HTTP/1.1\r\nHost: rollcall\r\nAuthorization: Bearer {}\r\n\r\n"
    asked = [ask.format(path, read_key) for path in ("/live/stream", "/livez")]
    with socket.create_connection(service.endpoint) as client:
        client.sendall("".join(asked).encode())
        until_looked_at(database, whether=True)
    until_looked_at(database, whether=False)

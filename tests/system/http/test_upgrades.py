"""A client that asks for another protocol, as Java's does, is served in HTTP/1.1."""

import pytest

from tests.support.http.wire import (
    LAST_CHUNK,
    Wire,
    chunk,
    connected,
    event,
    head,
    request,
)
from tests.support.service.tenant import Tenant

PROTOCOLS = pytest.mark.parametrize("protocol", ["h2c", "websocket"])


def asking(key: str, protocol: str, *headers: str, length: int | None = None) -> bytes:
    """The head of a request that asks."""
    wish = "Connection: Upgrade", f"Upgrade: {protocol}"
    return head(key, *wish, *headers, length=length)


def prove_key(wire: Wire, key: str, protocol: str, body: bytes) -> None:
    """Have one request answered: only after it may many wait on the connection."""
    wire.send(asking(key, protocol, length=len(body)) + body)
    status, _, answer = wire.answer()
    assert (status, answer["stored"]) == (200, 1)


@PROTOCOLS
def test_upgrade_request_and_the_next_one_are_read(
    tenant: Tenant, protocol: str
) -> None:
    bodies = [event(name) for name in "abcd"]
    with connected(tenant.service) as wire:
        prove_key(wire, tenant.key, protocol, bodies[0])
        for body in bodies[1:3]:
            wire.send(asking(tenant.key, protocol, length=len(body)) + body)
        wire.send(asking(tenant.key, protocol, "Transfer-Encoding: chunked"))
        wire.send(chunk(bodies[3]) + LAST_CHUNK + request(tenant.key, b"["))
        answers = [wire.answer() for _ in range(4)]
        assert wire.is_silent()

    assert [answer.get("stored") for _, _, answer in answers] == [1, 1, 1, None]
    assert [status for status, _, _ in answers] == [200, 200, 200, 400]
    assert b"WebSocket" not in tenant.service.log.read_bytes()


@PROTOCOLS
def test_upgrade_in_one_packet_is_read_to_its_end(
    tenant: Tenant, protocol: str
) -> None:
    body = event()
    one = asking(tenant.key, protocol, length=len(body)) + body
    with connected(tenant.service) as wire:
        prove_key(wire, tenant.key, protocol, body)
        wire.send(one * 20 + request(tenant.key, b"["))
        statuses = [wire.answer()[0] for _ in range(21)]
        assert wire.is_silent()

    assert statuses == [200] * 20 + [400]


@PROTOCOLS
def test_first_request_and_one_behind_it_are_read_before_the_key_is_known(
    tenant: Tenant, protocol: str
) -> None:
    body = event()
    with connected(tenant.service) as wire:
        one = asking(tenant.key, protocol, length=len(body)) + body
        wire.send(one + request(tenant.key, b"["))
        statuses = [wire.answer()[0] for _ in range(2)]
        assert wire.is_silent()

    assert statuses == [200, 400]


def test_body_of_an_upgrade_is_not_taken_for_a_request(tenant: Tenant) -> None:
    decoy = request(tenant.key, event("decoy"))
    expecting = "Expect: 100-continue"
    with connected(tenant.service) as wire:
        wire.send(asking(tenant.key, "h2c", expecting, length=len(decoy)))
        assert wire.answer()[0] == 100
        wire.send(decoy + request(tenant.key, event("real")))
        assert [wire.answer()[0] for _ in range(2)] == [400, 200]

    assert tenant.rows("SELECT message_id FROM events WHERE source = :source") == [
        ("real",)
    ]

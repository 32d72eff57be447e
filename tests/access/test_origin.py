"""The trace and the client's address in the request log."""

from ipaddress import ip_network

import pytest

from app.access.origin import RequestOrigin

PROXIES = [ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("::1/128")]
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("forwarded", "peer", "client"),
    [
        (b"", "127.0.0.1", "127.0.0.1"),
        (b"203.0.113.7", "127.0.0.1", "203.0.113.7"),
        # A client may claim anything; the proxy appends the address that it saw.
        (b"1.2.3.4, 203.0.113.7", "10.1.2.3", "203.0.113.7"),
        (b"203.0.113.7, 10.9.9.9", "127.0.0.1", "203.0.113.7"),
        (b"10.9.9.9", "127.0.0.1", "10.9.9.9"),
        (b"2001:db8::1", "::1", "2001:db8::1"),
        # Not behind a trusted proxy: the header is ignored.
        (b"203.0.113.7", "198.51.100.9", "198.51.100.9"),
        (b'"}\n{evil', "127.0.0.1", "127.0.0.1"),
        (b"203.0.113.7, \xff", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_client_is_the_last_address_before_the_proxies(
    forwarded: bytes, peer: str, client: str
) -> None:
    headers = {b"x-forwarded-for": forwarded} if forwarded else {}
    assert RequestOrigin(PROXIES).fields(headers, peer) == {"client": client}


def test_without_trusted_proxies_no_address_is_logged() -> None:
    headers = {b"x-forwarded-for": b"203.0.113.7"}
    assert RequestOrigin().fields(headers, "127.0.0.1") == {}
    assert RequestOrigin(PROXIES).fields(headers, "") == {}


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (TRACEPARENT, {"traceparent": TRACEPARENT.decode()}),
        (TRACEPARENT.upper(), {}),
        (TRACEPARENT + b"\n", {}),
        (b"someone@example.com", {}),
    ],
)
def test_only_a_valid_traceparent_is_logged(
    sent: bytes, logged: dict[str, str]
) -> None:
    assert RequestOrigin().fields({b"traceparent": sent}, "127.0.0.1") == logged

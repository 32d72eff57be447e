"""Requests as bytes, each with what a correct server may respond to it.

`{key}` stands for a write key. Every case is one request, so exactly one response is
right; a case that says `closes` ends the connection.
"""

import json
import selectors
import socket
import time
from itertools import product
from typing import NamedTuple

EVENT = json.dumps(
    {
        "event": "signed_up",
        "user_id": "raw",
        "message_id": "raw",
        "timestamp": "2023-11-02T00:30:08.276Z",
        "properties": {"email": "a@b.c"},
    }
).encode()
OK = frozenset({200})
BAD = frozenset({400})


class Case(NamedTuple):
    """One request.

    Attributes:
        name: of the test.
        sent: as bytes.
        statuses: the responses that are right.
        closes: whether the server has to end the connection.
    """

    name: str
    sent: bytes
    statuses: frozenset[int]
    closes: bool = False


def _chunked(body: bytes, size: int = 7) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def _post(*headers: bytes, version: bytes = b"1.1", host: bytes = b"Host: r") -> bytes:
    lines = [
        b"POST /track HTTP/" + version,
        *([host] if host else []),
        b"Authorization: Bearer {key}",
        b"Content-Type: application/json",
        *headers,
    ]
    return b"\r\n".join([*lines, b"", b""])


LENGTH = b"Content-Length: %d" % len(EVENT)
CHUNKED = b"Transfer-Encoding: chunked"


def _hop_by_hop() -> list[Case]:
    """Upgrade or not, each end of a connection, each form of a body, two routes."""
    cases = []
    for upgrade, end, body, route in product(
        ("none", "h2c", "websocket"),
        ("keep-alive", "close", "1.0"),
        ("no body", "length", "chunked"),
        ("/track", "/livez"),
    ):
        if end == "1.0" and body == "chunked":
            continue
        tokens = [] if end == "1.0" else [end.encode()]
        headers = []
        if upgrade != "none":
            tokens.append(b"Upgrade")
            headers.append(b"Upgrade: " + upgrade.encode())
        if tokens:
            headers.append(b"Connection: " + b", ".join(tokens))
        content = b""
        if body == "length":
            headers.append(LENGTH)
            content = EVENT
        elif body == "chunked":
            headers.append(CHUNKED)
            content = _chunked(EVENT)
        version = b"1.0" if end == "1.0" else b"1.1"
        head = _post(*headers, version=version)
        statuses = BAD if body == "no body" else OK
        if route == "/livez":
            head = head.replace(b"POST /track", b"GET /livez")
            statuses = OK
        name = f"{upgrade} {end} {body} {route}"
        cases.append(Case(name, head + content, statuses, end != "keep-alive"))
    return cases


def _framing() -> list[Case]:
    """Lengths and transfer codings, as smugglers send them."""
    chunked = _chunked(EVENT)
    bad: dict[str, bytes] = {
        "length and chunked": _post(LENGTH, CHUNKED) + chunked,
        "chunked and length": _post(CHUNKED, LENGTH) + chunked,
        "two lengths": _post(LENGTH, b"Content-Length: 1") + EVENT,
        "negative length": _post(b"Content-Length: -1"),
        "signed length": _post(b"Content-Length: +5") + b"hello",
        "length list": _post(b"Content-Length: 5, 6") + b"hello!",
        "hexadecimal length": _post(b"Content-Length: 0x10") + EVENT,
        "empty length": _post(b"Content-Length:") + EVENT,
        "length with a letter": _post(b"Content-Length: 5a") + EVENT,
        "enormous length": _post(b"Content-Length: 99999999999999999999999"),
        "gzip, chunked": _post(b"Transfer-Encoding: gzip, chunked") + chunked,
        "identity, chunked": _post(b"Transfer-Encoding: identity, chunked") + chunked,
        "chunked, identity": _post(b"Transfer-Encoding: chunked, identity") + chunked,
        "chunked twice": _post(CHUNKED, CHUNKED) + chunked,
        "chunked, chunked": _post(b"Transfer-Encoding: chunked, chunked") + chunked,
        "xchunked": _post(b"Transfer-Encoding: xchunked") + chunked,
        "quoted chunked": _post(b'Transfer-Encoding: "chunked"') + chunked,
        "chunked in 1.0": _post(CHUNKED, version=b"1.0") + chunked,
        "chunk size not hexadecimal": _post(CHUNKED) + b"zz\r\n{}\r\n0\r\n\r\n",
        "chunk size negative": _post(CHUNKED) + b"-1\r\n{}\r\n0\r\n\r\n",
        "chunk size enormous": _post(CHUNKED) + b"fffffffffffffffff\r\n",
        "chunk longer than said": _post(CHUNKED) + b"1\r\n{}\r\n0\r\n\r\n",
        "space before the colon": _post(b"Content-Length : 5") + b"hello",
        "header without a colon": _post(b"NoColon", LENGTH) + EVENT,
        "header without a name": _post(b": value", LENGTH) + EVENT,
        "NUL in a header": _post(b"X-A: a\0b", LENGTH) + EVENT,
        "CR in a header": _post(b"X-A: a\rb", LENGTH) + EVENT,
        "folded header": _post(b"X-A: a\r\n b", LENGTH) + EVENT,
        "control in a name": _post(b"X\x01A: a", LENGTH) + EVENT,
    }
    good: dict[str, bytes] = {
        "length": _post(LENGTH) + EVENT,
        "chunked": _post(CHUNKED) + chunked,
        "Chunked": _post(b"transfer-encoding: Chunked") + chunked,
        "chunk extension": _post(CHUNKED)
        + b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT),
        "trailers": _post(CHUNKED) + chunked[:-2] + b"X-T: a\r\n\r\n",
        "one byte chunks": _post(CHUNKED) + _chunked(EVENT, 1),
        "upper-case chunk size": _post(CHUNKED)
        + b"%X\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT),
        "the same length twice in one": _post(b"X-A: b", LENGTH) + EVENT,
    }
    return [
        *(Case(name, sent, BAD | {501}, closes=True) for name, sent in bad.items()),
        *(Case(name, sent, OK) for name, sent in good.items()),
    ]


def _lines() -> list[Case]:
    """Request lines, hosts and versions."""
    get = b"GET /livez HTTP/1.1\r\nHost: r\r\n\r\n"
    bad: dict[str, bytes] = {
        "no host": b"GET /livez HTTP/1.1\r\n\r\n",
        "no host, event": _post(LENGTH, host=b"") + EVENT,
        "two hosts": b"GET /livez HTTP/1.1\r\nHost: r\r\nHost: r\r\n\r\n",
        "two hosts, event": _post(b"Host: other", LENGTH) + EVENT,
        "HTTP/2.0": b"GET /livez HTTP/2.0\r\nHost: r\r\n\r\n",
        "HTTP/3": b"GET /livez HTTP/3\r\nHost: r\r\n\r\n",
        "HTTP/1.2": b"GET /livez HTTP/1.2\r\nHost: r\r\n\r\n",
        "lower-case http": b"GET /livez http/1.1\r\nHost: r\r\n\r\n",
        "HTTP/0.9": b"GET /livez\r\n\r\n",
        "RTSP": b"DESCRIBE /livez RTSP/1.0\r\nHost: r\r\n\r\n",
        "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "CONNECT": b"CONNECT r:80 HTTP/1.1\r\nHost: r:80\r\n\r\n",
        "lower-case method": b"get /livez HTTP/1.1\r\nHost: r\r\n\r\n",
        "unknown method": b"HELLO /livez HTTP/1.1\r\nHost: r\r\n\r\n",
        "space in the path": b"GET /li vez HTTP/1.1\r\nHost: r\r\n\r\n",
        "fragment": b"GET /livez#a HTTP/1.1\r\nHost: r\r\n\r\n",
        "fragment, event": _post(LENGTH).replace(b"/track", b"/track#x", 1) + EVENT,
        "no path": b"GET  HTTP/1.1\r\nHost: r\r\n\r\n",
        "relative path": b"GET livez HTTP/1.1\r\nHost: r\r\n\r\n",
        "NUL in the path": b"GET /li\0vez HTTP/1.1\r\nHost: r\r\n\r\n",
    }
    good: dict[str, bytes] = {
        "GET": get,
        "empty lines before": b"\r\n\r\n" + get,
        "absolute URL": get.replace(b"/livez", b"http://r/livez"),
        "query": get.replace(b"/livez", b"/livez?a=b"),
        "1.0 without a host": b"GET /livez HTTP/1.0\r\n\r\n",
        "1.0 with keep-alive": b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "bare line feeds": b"GET /livez HTTP/1.1\nHost: r\n\n",
    }
    refused = {
        "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: r\r\n\r\n", frozenset({404, 405})),
        "TRACE": (b"TRACE /livez HTTP/1.1\r\nHost: r\r\n\r\n", frozenset({405})),
        "nowhere": (b"GET /nope HTTP/1.1\r\nHost: r\r\n\r\n", frozenset({404})),
        "GET of a route": (b"GET /track HTTP/1.1\r\nHost: r\r\n\r\n", frozenset({405})),
    }
    return [
        *(Case(name, sent, BAD | {505}, closes=True) for name, sent in bad.items()),
        *(Case(name, sent, OK | BAD) for name, sent in good.items()),
        *(Case(name, *given) for name, given in refused.items()),
    ]


def _expectations() -> list[Case]:
    """`Expect: 100-continue` that is refused: nobody knows whether a body follows."""
    expect = b"Expect: 100-continue"
    wrong_key = _post(LENGTH, expect).replace(b"{key}", b"rc_wrong")
    return [
        Case("expect, wrong key", wrong_key, frozenset({401}), closes=True),
        Case(
            "expect, too large",
            _post(b"Content-Length: 99999999", expect),
            frozenset({413}),
            closes=True,
        ),
        Case(
            "expect, wrong type",
            _post(LENGTH, expect).replace(b"application/json", b"text/csv"),
            frozenset({415}),
            closes=True,
        ),
        Case(
            "expect, nowhere",
            _post(LENGTH, expect).replace(b"/track", b"/nope"),
            frozenset({404}),
            closes=True,
        ),
        Case("expect, body sent at once", _post(LENGTH, expect) + EVENT, OK),
    ]


CASES = [*_hop_by_hop(), *_framing(), *_lines(), *_expectations()]


def statuses_of(received: bytes) -> list[int]:
    """The statuses of the final responses in what a server sent.

    Raises:
        ValueError: it is not a sequence of whole responses.
    """
    statuses = []
    rest = received
    while rest:
        head, separator, rest = rest.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError(head)
        lines = head.split(b"\r\n")
        version, status, *_ = lines[0].split(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError(head)
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        if status.startswith(b"1"):
            continue
        if fields.get(b"transfer-encoding") == b"chunked":
            body, _, rest = rest.partition(b"0\r\n\r\n")
        else:
            length = int(fields.get(b"content-length", 0))
            body, rest = rest[:length], rest[length:]
            if len(body) < length:
                raise ValueError(head)
        statuses.append(int(status))
    return statuses


class Conversation(NamedTuple):
    """What came of one case.

    Attributes:
        received: all bytes that the server sent.
        is_closed: whether it ended the connection.
    """

    received: bytes
    is_closed: bool


def converse(
    endpoint: tuple[str, int], key: str, *, within_s: float = 60, quiet_s: float = 0.5
) -> dict[str, Conversation]:
    """Send every case on a connection of its own, and read the responses.

    Args:
        endpoint: host and port.
        key: a write key.
        within_s: how long a first response may take.
        quiet_s: how long to wait for a second one.
    """
    selector = selectors.DefaultSelector()
    received = {case.name: b"" for case in CASES}
    connections = {case.name: socket.create_connection(endpoint, 60) for case in CASES}
    for case in CASES:
        connection = connections[case.name]
        selector.register(connection, selectors.EVENT_READ, case.name)
        connection.sendall(case.sent.replace(b"{key}", key.encode()))
    open_ = set(connections)
    deadline = time.monotonic() + within_s
    while open_ and time.monotonic() < deadline:
        is_quiet = True
        for each, _ in selector.select(quiet_s):
            is_quiet = False
            data = _read(connections[each.data])
            received[each.data] += data
            if not data:
                open_.discard(each.data)
                selector.unregister(connections[each.data])
        if is_quiet and all(received[name] for name in open_):
            break
    selector.close()
    for connection in connections.values():
        connection.close()
    return {
        name: Conversation(data, name not in open_) for name, data in received.items()
    }


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""

"""What clients without a key send, and how: the attacks of the fault rows."""

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
LARGE = 60_000
# Stands for a known key in the requests of an attack, whose sender fills it in.
KEY = b"{key}"


@dataclass(frozen=True, slots=True)
class Attack:
    """Connections that send the same requests.

    Attributes:
        requests: one for each connection, in turn.
        connections: how many are open at a time.
        again: whether each sends its request again after each response, on a new
            connection where the service closed the last one; else it sends once, and
            stays connected until the service closes the connection.
        reads: whether responses are read.
        opening: sent first on each connection, with its response awaited.
        rate: requests and connections a second, of all connections together.
    """

    requests: Sequence[bytes]
    connections: int
    again: bool = True
    reads: bool = True
    opening: bytes = b""
    rate: float = 2_000


def get(path: str, *headers: bytes) -> bytes:
    """A request for a document."""
    lines = [b"GET %b HTTP/1.1" % path.encode(), b"Host: r", *headers]
    return b"\r\n".join([*lines, b"", b""])


def post(length: int, body: bytes, *headers: bytes) -> bytes:
    """A request with a body of `length` bytes, of which `body` is sent."""
    lines = (
        b"POST /track HTTP/1.1",
        b"Host: r",
        b"Content-Type: application/json",
        b"Content-Length: %d" % length,
        *headers,
    )
    return b"\r\n".join([*lines, b"", body])


# Each path that answers a client without a key, and the status of its response.
PATHS = {
    "/": 200,
    "/docs": 200,
    "/events": 200,
    "/events/signed_up": 200,
    "/livez": 200,
    "/metrics": 401,
    "/nope": 404,
    "/openapi.json": 200,
    "/readyz": 200,
    "/schemas": 200,
    "/sign-in": 200,
    "/static/older/rollcall.css": 200,
    "/track": 405,
    "/v1/events": 401,
}
HEADERS = (
    (b"Accept", b"a/b;q=0.1,"),
    (b"Accept-Encoding", b"gzip;q=0,"),
    (b"Authorization", b"Basic "),
    (b"Content-Type", b"a/b;c=d;"),
    (b"Cookie", b"\\"),
    (b"Cookie", b"a=b;"),
    (b"Forwarded", b"for=a,"),
    (b"If-None-Match", b'W/"a",'),
    (b"Last-Event-ID", b"\\"),
    (b"Range", b"bytes=0-1,"),
    (b"X-Forwarded-For", b"1.2.3.4,"),
    (b"X-Forwarded-Proto", b"https,"),
)
HOSTILE = [
    *(get("/livez", b"%b: %b" % (n, u * (LARGE // len(u)))) for n, u in HEADERS),
    *(get("/v1/events", b"%b: %b" % (n, u * (LARGE // len(u)))) for n, u in HEADERS),
    get("/sign-in", b'Cookie: rollcall_session="' + b"\\" * LARGE + b'"'),
    get("/v1/events?" + "&" * LARGE),
    get("/v1/events?" + "a=%25&" * (LARGE // 6)),
    get("/" + "/" * LARGE),
    get("/" + "%2f" * (LARGE // 3)),
    get("/" + "a/.." * (LARGE // 4)),
]
EVERY_PATH = [get(path) for path in PATHS]
WRONG_KEYS = [post(2, b"{}", b"Key: rc_%d" % number) for number in range(300)]

ATTACKS = {
    **{f"GET {path}": Attack([get(path)], 50) for path in PATHS},
    "one busy client": Attack([get("/openapi.json")], 1),
    "all paths from 300": Attack(EVERY_PATH, 300),
    "all paths from 2,000": Attack(EVERY_PATH, 2_000),
    "wrong keys": Attack(WRONG_KEYS, 300),
    "hostile headers": Attack(HOSTILE, 1),
    "hostile headers from 300": Attack(HOSTILE, 300),
    "one silent body": Attack([post(10 * MIB, b"{")], 1, again=False),
    "silent bodies": Attack([post(10 * MIB, b"{")], 50, again=False),
    "idle": Attack([get("/livez")], 300, again=False),
    "many idle": Attack([get("/livez")], 2_000, again=False),
    "unfinished headers": Attack(
        [b"GET / HTTP/1.1\r\nHost: r\r\n" + b"a:\r\n" * 250_000], 50, again=False
    ),
    "pipelined documents": Attack([get("/openapi.json") * 20], 300, again=False),
    "unread documents": Attack(
        [get("/openapi.json") * 2], 300, again=False, reads=False
    ),
}
# F17: one of these from many clients, which send it and then nothing.
HEAD = b"POST /track HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
DAWDLERS = {
    "slow head": Attack([HEAD], 1_000, again=False),
    "slow body": Attack(
        [HEAD + b"X-Api-Key: " + KEY + b"\r\nContent-Length: 900\r\n\r\n{"],
        1_000,
        again=False,
    ),
    # Only a client with a key may pipeline more than the kernel takes off the service's
    # hands, which is megabytes for each connection. If many asked for documents at
    # once, most of the responses would be a short 503.
    "slow reader": Attack(
        [90 * get("/openapi.json")],
        60,
        again=False,
        reads=False,
        opening=post(2, b"{}", b"X-Api-Key: " + KEY),
        rate=50,
    ),
}

"""The request line and the headers: limits, and the rules of RFC 9112."""

from typing import Protocol

from app.access.credentials import first_headers
from app.ingest.request import RequestHead
from app.request_errors import (
    HeadersTooLargeError,
    InvalidHttpError,
    OverloadedError,
    RequestError,
)

# Limit of the path with its query, all headers and all trailers together: the bytes of
# each name and value, and the weight below for each. Proxies have lower limits.
MAX_HEADER_BYTES = 64 * 1024
# Memory overhead of a header, so that many short headers cost no more than a few long
# ones.
HEADER_WEIGHT = 32

# Unfinished headers of a connection up to this size are free; all that is beyond it, of
# all connections together, has a limit.
_FREE_HEADER_BYTES = 8 * 1024
_MAX_UNFINISHED_BYTES = 16 * 1024 * 1024

# Heads that are kept, and the size of the largest.
_MAX_KNOWN_HEADS = 256
_MAX_KNOWN_BYTES = 2 * 1024
_MAX_LENGTH_DIGITS = 9
_RARE_HEADERS = frozenset({b"transfer-encoding", b"expect"})

# llhttp also parses RTSP and ICE.
_METHODS = frozenset(b"DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE".split())
_VERSIONS = frozenset({"1.0", "1.1"})


def read_head(
    method: bytes,
    target: bytes,
    version: str,
    headers: list[tuple[bytes, bytes]],
) -> RequestHead:
    """Check what llhttp does not.

    Args:
        method: of the request.
        target: its path and query, or an absolute URL.
        version: of HTTP.
        headers: with lower-case names.

    Raises:
        InvalidHttpError: the request line or a header breaks RFC 9112.
    """
    if version not in _VERSIONS:
        raise InvalidHttpError("This server speaks HTTP/1.0 and HTTP/1.1 only.")
    if method not in _METHODS:
        raise InvalidHttpError("The method is not one of HTTP.")
    path, query = _split(target)
    first = first_headers(headers)
    # Repeated or rare headers take a closer look.
    if (
        len(first) != len(headers)
        or b"host" not in first
        or b"transfer-encoding" in first
    ):
        _check_framing(version, headers)
    expects_continue = b"expect" in first and any(
        value.lower() == b"100-continue" for value in _all(headers, b"expect")
    )
    return RequestHead(method, path, query, version, headers, first, expects_continue)


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The values of a header that may be repeated."""
    return [value for sent, value in headers if sent == name]


def _check_framing(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    hosts = len(_all(headers, b"host"))
    codings = [v.strip().lower() for v in _all(headers, b"transfer-encoding")]
    if hosts != 1 and (hosts or version == "1.1"):
        raise InvalidHttpError("HTTP/1.1 requires exactly one Host header.")
    if codings and codings != [b"chunked"]:
        raise InvalidHttpError("The only transfer coding is chunked.")
    if codings and version == "1.0":
        raise InvalidHttpError("HTTP/1.0 has no transfer codings.")


class HeaderHolder(Protocol):
    """A connection whose headers have begun and not ended."""

    def refuse(self, error: RequestError) -> None:
        """Answer with an error, and end the connection."""


class KnownHeads:
    """Heads of requests of known senders, by their bytes.

    A client repeats its head on a connection that it keeps, mostly without a change.
    Such a request needs no parser.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[RequestHead, int]] = {}

    def find(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """The head and the body of a request, if the bytes are one with a known head.

        Args:
            data: bytes that a request begins with.
        """
        end = data.find(b"\r\n\r\n", 0, _MAX_KNOWN_BYTES) + 4
        known = self._heads.get(data[:end])
        if known is None or known[1] != len(data) - end:
            return None
        return known[0], data[end:]

    def add(self, data: bytes, head: RequestHead) -> None:
        """Keep a head, unless its body or its end is framed in a rare way.

        Args:
            data: one or more complete requests.
            head: of the last of them.
        """
        end = data.find(b"\r\n\r\n", 0, _MAX_KNOWN_BYTES) + 4
        length = head.first.get(b"content-length", b"")
        if (
            len(length) > _MAX_LENGTH_DIGITS
            or not (length and head.keep_alive)
            or not _RARE_HEADERS.isdisjoint(head.first)
            # Else the head is too large, ends elsewhere, or is of another request.
            or int(length) != len(data) - end
        ):
            return
        if len(self._heads) >= _MAX_KNOWN_HEADS:
            self._heads.clear()
        self._heads[data[:end]] = head, len(data) - end


class UnfinishedHeaders:
    """Bytes of all headers that have begun and not ended, beyond a share for each.

    Above the limit those that began first are refused: a client that sends its headers
    in one go needs no time, and is not shut out by clients that never end theirs.

    Attributes:
        used: bytes held.
    """

    def __init__(self) -> None:
        self.used = 0
        # In the order in which they began to hold more than their share.
        self._held: dict[HeaderHolder, int] = {}

    def change(self, holder: HeaderHolder, pending: int) -> bool:
        """Hold other bytes for a connection, and return whether these are any.

        Args:
            holder: the connection.
            pending: bytes of its headers now.
        """
        hold = max(0, pending - _FREE_HEADER_BYTES)
        self.used += hold - self._held.get(holder, 0)
        if hold:
            self._held[holder] = hold
        else:
            self._held.pop(holder, None)
        while self.used > _MAX_UNFINISHED_BYTES:
            oldest = next(iter(self._held))
            self.used -= self._held.pop(oldest)
            oldest.refuse(
                OverloadedError(
                    "Too many requests have large, unfinished headers; send this again."
                )
            )
        return hold > 0


def headers_too_large() -> RequestError:
    """The error that their sender receives."""
    return HeadersTooLargeError(
        f"The path and the headers are at most {MAX_HEADER_BYTES} bytes, counting "
        f"{HEADER_WEIGHT} more for each header."
    )


def _split(target: bytes) -> tuple[bytes, bytes]:
    if target[:1] != b"/":
        target = _without_authority(target)
    if b"#" in target:
        raise InvalidHttpError("A request target has no fragment.")
    path, _, query = target.partition(b"?")
    return path, query


def _without_authority(target: bytes) -> bytes:
    """The path of an absolute URL (RFC 9112 section 3.2.2), or `*`."""
    if target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        raise InvalidHttpError("The request target is not a path.")
    start = min(
        (at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0),
        default=len(rest),
    )
    path = rest[start:]
    return path if path.startswith(b"/") else b"/" + path

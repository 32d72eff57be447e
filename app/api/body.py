"""What was sent: the bytes of a body, within their limits.

RFC 9110 section 8.3 and 8.4, RFC 8259; one representation of each, nothing guessed.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from app.api.admission import Lease
from app.api.alarms import Alarms
from app.errors import (
    BodyTooLargeError,
    InvalidEncodingError,
    SlowClientError,
    UnsupportedMediaError,
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_JSON = frozenset({b"application/json"})
# What HTTP clients say of a body that they were told nothing about.
_ANY = _JSON | {
    b"",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
    b"text/plain",
}
_GZIP = 16 + zlib.MAX_WBITS


class ClientLeftError(Exception):
    """The client is gone: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of one body.

    Attributes:
        max_bytes: decompressed.
        timeout_s: from the end of the headers to the last byte.
    """

    max_bytes: int
    timeout_s: float


def check_headers(
    headers: dict[bytes, bytes], limits: BodyLimits, *, lenient: bool = False
) -> bool:
    """Refuse what the headers alone condemn.

    Args:
        headers: lower-case names.
        limits: of one body.
        lenient: whether a type that says nothing of the body is no reason.

    Returns:
        Whether the body is compressed with gzip.

    Raises:
        UnsupportedMediaError: neither JSON in UTF-8, nor gzip or plain.
        BodyTooLargeError: it says of itself that it is.
    """
    content_type = headers.get(b"content-type", b"")
    if content_type not in _JSON:
        _check_type(content_type, _ANY if lenient else _JSON)
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in {b"identity", b"gzip"}:
        raise UnsupportedMediaError("Content-Encoding must be gzip or absent.")
    declared = headers.get(b"content-length")
    # uvicorn has parsed it already: anything but digits never gets here.
    if declared is not None and int(declared) > limits.max_bytes:
        raise _too_large(limits)
    return encoding == b"gzip"


async def read_body(  # noqa: PLR0913 - all that bounds a body
    receive: Receive,
    *,
    headers: dict[bytes, bytes],
    gzipped: bool,
    limits: BodyLimits,
    lease: Lease,
    alarms: Alarms,
) -> bytes:
    """Read a body whole, decompressing as it comes.

    Args:
        receive: the ASGI callable.
        headers: lower-case names.
        gzipped: from `check_headers`.
        limits: of one body.
        lease: holds what has been read.
        alarms: how long it may take to arrive.

    Raises:
        BodyTooLargeError, InvalidEncodingError, SlowClientError, OverloadedError,
        ClientLeftError.
    """
    lease.hold(int(headers.get(b"content-length", 0)))
    inflater = _Inflater(limits) if gzipped else None
    parts: list[bytes] = []
    size = 0
    more = True
    try:
        with alarms.set():
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeftError
                more = message.get("more_body", False)
                chunk = message.get("body", b"")
                for part in (chunk,) if inflater is None else inflater.inflate(chunk):
                    size += len(part)
                    if size > limits.max_bytes:
                        raise _too_large(limits)
                    lease.hold(size)
                    parts.append(part)
    except TimeoutError:
        raise SlowClientError(
            f"The body did not arrive within {alarms.delay_s:g} s."
        ) from None
    if inflater is not None:
        inflater.finish()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_type(content_type: bytes, taken: frozenset[bytes]) -> None:
    media_type, *parameters = content_type.lower().split(b";")
    if media_type.strip() not in taken:
        raise UnsupportedMediaError("Content-Type must be application/json.")
    for parameter in parameters:
        name, _, value = parameter.strip().partition(b"=")
        if name == b"charset" and value.strip(b'"') not in {b"utf-8", b"utf8"}:
            raise UnsupportedMediaError("The charset must be UTF-8.")


class _Inflater:
    """One gzip member (RFC 1952), never more than the limit of it at a time."""

    def __init__(self, limits: BodyLimits) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._most = limits.max_bytes + 1

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        rest = chunk
        while rest:
            try:
                out = self._stream.decompress(rest, self._most)
            except zlib.error:
                raise InvalidEncodingError("The body is not valid gzip.") from None
            if self._stream.unused_data:
                raise InvalidEncodingError("Bytes follow the end of the gzip data.")
            rest = self._stream.unconsumed_tail
            yield out

    def finish(self) -> None:
        if not self._stream.eof:
            raise InvalidEncodingError("The gzip data ends too early.")


def _too_large(limits: BodyLimits) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"A body is at most {limits.max_bytes} bytes, decompressed."
    )

"""What was sent: the bytes of a body, within their limits.

RFC 9110 section 8.3 and 8.4, RFC 8259; one representation of each, nothing guessed.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from app.errors import (
    BodyTooLargeError,
    InvalidEncodingError,
    UnsupportedMediaError,
)

_JSON = frozenset({b"application/json"})
# What HTTP clients say of a body that they were told nothing about.
_ANY = _JSON | {
    b"",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
    b"text/plain",
}
_GZIP = 16 + zlib.MAX_WBITS


class Framing(NamedTuple):
    """How a body comes.

    Attributes:
        gzipped: whether it is compressed.
        length: in bytes, as declared; 0 where it is not.
    """

    gzipped: bool
    length: int


def check_headers(
    headers: dict[bytes, bytes], *, max_bytes: int, lenient: bool = False
) -> Framing:
    """Refuse what the headers alone condemn.

    Args:
        headers: lower-case names.
        max_bytes: of one body.
        lenient: whether a type that says nothing of the body is no reason.

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
    # uvicorn has parsed it already: anything but digits never gets here.
    length = int(headers.get(b"content-length", 0))
    if length > max_bytes:
        raise _too_large(max_bytes)
    return Framing(encoding == b"gzip", length)


class BodyReader:
    """Takes a body in as it arrives, decompressed and within its limits.

    Args:
        framing: from `check_headers`.
        max_bytes: of the body, decompressed.
        grow: makes room for at least so many bytes, or raises.
    """

    __slots__ = ("_grow", "_inflater", "_max_bytes", "_parts", "_size")

    def __init__(
        self, framing: Framing, *, max_bytes: int, grow: Callable[[int], None]
    ) -> None:
        self._max_bytes = max_bytes
        self._grow = grow
        self._inflater = _Inflater(max_bytes) if framing.gzipped else None
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take a part of the body.

        Raises:
            BodyTooLargeError, InvalidEncodingError, OverloadedError,
            TooManyRequestsError.
        """
        inflater = self._inflater
        for part in (chunk,) if inflater is None else inflater.inflate(chunk):
            self._size += len(part)
            if self._size > self._max_bytes:
                raise _too_large(self._max_bytes)
            self._grow(self._size)
            self._parts.append(part)

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            InvalidEncodingError: the compressed data ends too early.
        """
        if self._inflater is not None:
            self._inflater.finish()
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


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

    def __init__(self, max_bytes: int) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._most = max_bytes + 1

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


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"A body is at most {max_bytes} bytes, decompressed.")

"""The body of a request: its headers checked, its bytes decompressed within limits.

RFC 9110 sections 8.3 and 8.4.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.ingest.decompression import CODINGS, Decompressor
from app.ingest.media_type import read_media_type
from app.request_errors import BodyTooLargeError, UnsupportedMediaError

_NO_CODINGS = frozenset({b"", b"identity"})


class Framing(NamedTuple):
    """Encoding and format of a body, from the headers.

    Attributes:
        coding: the content coding, or None if the body is not compressed.
        length: declared bytes; 0 if none are declared.
        is_ndjson: whether each line is a JSON value.
        has_key: whether a header has a key; without one the limit is lower.
    """

    coding: bytes | None
    length: int
    is_ndjson: bool = False
    has_key: bool = True


def check_headers(
    headers: dict[bytes, bytes],
    *,
    max_bytes: int,
    lenient: bool = False,
    has_key: bool = True,
) -> Framing:
    """Check the headers that describe a body.

    Args:
        headers: lower-case names.
        max_bytes: of one body.
        lenient: whether a type that clients set on their own means JSON.
        has_key: whether a header has a key; without one the limit is lower.

    Raises:
        UnsupportedMediaError: the media type or the content coding is not supported.
        BodyTooLargeError: the declared length is over the limit.
    """
    # A CloudEvent in binary mode need not name the type of its data.
    lenient = lenient or b"ce-specversion" in headers
    media_type = read_media_type(headers.get(b"content-type", b""), lenient=lenient)
    coding: bytes | None = headers.get(b"content-encoding", b"").strip().lower()
    if coding in _NO_CODINGS:
        coding = None
    elif coding not in CODINGS:
        raise UnsupportedMediaError(
            "Content-Encoding must be gzip, deflate, zstd or absent."
        )
    # The parser lets only digits pass, but any number of zeros, which `int` refuses.
    length = int(headers.get(b"content-length", b"").lstrip(b"0") or 0)
    if length > max_bytes:
        raise _too_large(max_bytes, has_key=has_key)
    return Framing(coding, length, media_type == "ndjson", has_key)


class BodyReader:
    """Takes a body in as it arrives, decompressed and within its limits.

    Args:
        framing: from `check_headers`.
        max_bytes: of the body, decompressed.
        grow: makes room for at least so many bytes, or raises.
        look: sees the first part, decompressed, before room is made for it.
    """

    __slots__ = (
        "_body",
        "_decompressor",
        "_grow",
        "_has_key",
        "_look",
        "_max_bytes",
        "_size",
    )

    def __init__(
        self,
        framing: Framing,
        max_bytes: int,
        grow: Callable[[int], None],
        look: Callable[[bytes], None] | None = None,
    ) -> None:
        self._look = look
        self._max_bytes = max_bytes
        self._has_key = framing.has_key
        self._grow = grow
        coding = framing.coding
        self._decompressor = None if coding is None else Decompressor(coding, max_bytes)
        self._body: bytes | bytearray = b""
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take a part of the body.

        Raises:
            BodyTooLargeError, InvalidEncodingError, OverloadedError,
            TooManyRequestsError.
        """
        decompressor = self._decompressor
        for part in (chunk,) if decompressor is None else decompressor.feed(chunk):
            self._size += len(part)
            if self._size > self._max_bytes:
                raise _too_large(self._max_bytes, has_key=self._has_key)
            if self._look is not None:
                self._look(part)
                self._look = None
            self._grow(self._size)
            if self._body:
                if isinstance(self._body, bytes):
                    self._body = bytearray(self._body)
                self._body += part
            else:  # mostly all of it, which is not copied
                self._body = part

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            InvalidEncodingError: the compressed data ends too early.
        """
        if self._decompressor is not None:
            self._decompressor.finish()
        return bytes(self._body)


def _too_large(max_bytes: int, *, has_key: bool) -> BodyTooLargeError:
    limit = f"A body is at most {max_bytes} bytes, decompressed."
    if has_key:
        return BodyTooLargeError(limit)
    return BodyTooLargeError(
        f"{limit} Send the key in a header: the limit is higher then."
    )

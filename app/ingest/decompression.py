"""Decompression of a body while it arrives, within its limit.

gzip (RFC 1952), deflate (RFC 9110 section 8.4.1.2) and zstd (RFC 8878). A body is one
compressed stream; bytes after its end are an error.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from app.request_errors import InvalidEncodingError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_DEFLATE_METHOD = 8
# Bytes decompressed at a time; the caller may refuse the rest.
_STEP_BYTES = 64 * 1024
# RFC 9659: a decoder for HTTP supports windows of 8 MiB, and needs to support no more.
_MAX_ZSTD_WINDOW_LOG = 23


class Decompressor:
    """Decompresses one stream; never holds more than the limit of its output.

    Args:
        coding: the content coding, one of `CODINGS`.
        max_bytes: of the decompressed body.
    """

    def __init__(self, coding: bytes, max_bytes: int) -> None:
        coding = coding.removeprefix(b"x-")
        self._coding = coding.decode()
        self._create = _STREAMS[coding]
        # Of the standard library's interface; None before the first bytes.
        self._stream: Any = None
        self._most = min(max_bytes + 1, _STEP_BYTES)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decompress a part of the body, piece by piece.

        Raises:
            InvalidEncodingError: the data is corrupt, or goes on after its end.
        """
        if self._stream is None:
            if not chunk:
                return
            self._stream = self._create(chunk)
        rest = chunk
        is_full = False
        while rest or is_full or not self._needs_input():
            if self._stream.eof:
                raise InvalidEncodingError(
                    f"Bytes follow the end of the {self._coding} data."
                )
            try:
                out = self._stream.decompress(rest, self._most)
            except (zlib.error, zstd.ZstdError):
                raise InvalidEncodingError(
                    f"The body is not valid {self._coding}."
                ) from None
            if self._stream.unused_data:
                raise InvalidEncodingError(
                    f"Bytes follow the end of the {self._coding} data."
                )
            rest = getattr(self._stream, "unconsumed_tail", b"")
            is_full = len(out) == self._most and not self._stream.eof
            yield out

    def finish(self) -> None:
        """Check that the stream is complete.

        Raises:
            InvalidEncodingError: it ends too early.
        """
        if self._stream is None or not self._stream.eof:
            raise InvalidEncodingError(f"The {self._coding} data ends too early.")

    def _needs_input(self) -> bool:
        """Whether all output so far was taken; zlib keeps its rest as a tail."""
        return self._stream.eof or getattr(self._stream, "needs_input", True)


def _deflate(start: bytes) -> Any:
    """For a stream with the header of zlib, or without, as many clients send it."""
    has_header = start[0] & 0x0F == _DEFLATE_METHOD and (
        len(start) == 1 or int.from_bytes(start[:2]) % 31 == 0
    )
    return zlib.decompressobj(zlib.MAX_WBITS if has_header else _RAW)


def _zstd(_start: bytes) -> Any:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW_LOG}
    )


# Functions that make a decompressor from the first bytes, by content coding.
_STREAMS: dict[bytes, Callable[[bytes], Any]] = {
    b"gzip": lambda _start: zlib.decompressobj(_GZIP),
    b"deflate": _deflate,
    b"zstd": _zstd,
}
CODINGS = frozenset({*_STREAMS, b"x-gzip"})

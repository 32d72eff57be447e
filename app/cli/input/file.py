"""Open an input file: decompress it, turn UTF-16 into UTF-8, refuse foreign formats."""

import bz2
import codecs
import gzip
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, cast

from typing_extensions import Buffer, override

from app.cli.input.foreign import refuse_foreign

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STDIN = Path("-")

_BUFFER_BYTES = 128 * 1024
# Bytes read ahead to recognise compression, encoding, line ends and format.
_HEAD_BYTES = 64 * 1024

_COMPRESSIONS: tuple[tuple[bytes, str, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", "gzip", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", "bzip2", bz2.BZ2File),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", "zstd", zstd.ZstdFile),
)
# Errors of the decompressors for data that is cut off, foreign or corrupt.
_DECOMPRESSION_ERRORS = (
    EOFError,
    ValueError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zstd.ZstdError,
)

_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_SWAP_LINE_ENDS = bytes.maketrans(b"\r\n", b"\n\r")


class DamagedInputError(Exception):
    """The rest of a file cannot be decompressed or decoded; the text says why."""


class _Stream(RawIOBase):
    """Pieces of bytes as one stream.

    An error is raised by each read after the bytes before it: otherwise a file that is
    cut off would look like one that ends there.

    Args:
        head: bytes before the pieces.
        pieces: of any length but 0; may raise DamagedInputError.
        error: with which the pieces have ended already.
    """

    def __init__(
        self,
        head: bytes,
        pieces: Iterator[bytes],
        error: DamagedInputError | OSError | None,
    ) -> None:
        self._piece = head
        self._pieces = pieces
        self._error = error

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        if not self._piece and self._error is None:
            try:
                self._piece = next(self._pieces, b"")
            except (DamagedInputError, OSError) as error:
                self._error = error
        if not self._piece and self._error is not None:
            raise self._error
        part = self._piece[: len(view)]
        self._piece = self._piece[len(part) :]
        view[: len(part)] = part
        return len(part)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that is being read.

    Attributes:
        name: as the operator knows it.
        stream: its content as UTF-8, without compression or byte order mark.
        head: the first bytes of the stream, at most 64 KiB.
        has_cr_lines: whether its lines ended with CR alone; in `stream` CR and LF have
            then changed places.
        total: size on disk in bytes; None where it is not known.
    """

    name: str
    stream: BufferedIOBase
    head: bytes
    has_cr_lines: bool
    total: int | None
    _file: BufferedIOBase

    @property
    def position(self) -> int:
        """Number of bytes on disk that have been read, some ahead; 0 for a pipe."""
        return 0 if self.total is None else self._file.tell()


@contextmanager
def open_input(path: Path) -> Iterator[InputFile]:
    """Open a file, or stdin for `-`.

    Raises:
        OSError: it cannot be opened.
        BadParameter: its first bytes are those of a format that holds no events.
    """
    if path == STDIN:
        # Its type promises less than it is: stdin is buffered even where
        # PYTHONUNBUFFERED is set.
        stdin = cast("BufferedIOBase", sys.stdin.buffer)
        yield make_input("stdin", stdin, total=_size_of(stdin))
        return
    with path.open("rb") as file:
        yield make_input(path.name, file, total=_size_of(file))


def swap_line_ends(text: bytes) -> bytes:
    """The text with CR and LF in each other's place; its own inverse."""
    return text.translate(_SWAP_LINE_ENDS)


def make_input(name: str, file: BufferedIOBase, *, total: int | None) -> InputFile:
    """Decompress and decode a file as its first bytes require.

    Raises:
        BadParameter: as for `open_input`.
    """
    head, stream = _buffered(_pieces_of(file))
    for magic, kind, decompressor in _COMPRESSIONS:
        if head.startswith(magic):
            head, stream = _buffered(_decompress(decompressor(stream), kind))
            break
    refuse_foreign(name, head)
    encoding = _encoding_of(head)
    if encoding is not None:
        head, stream = _buffered(_transcode(stream, *encoding))
    has_cr_lines = b"\r" in head[:-1] and b"\n" not in head
    if has_cr_lines:
        head, stream = _buffered(map(swap_line_ends, _pieces_of(stream)))
    return InputFile(name, stream, head, has_cr_lines, total, file)


def _buffered(pieces: Iterator[bytes]) -> tuple[bytes, BufferedIOBase]:
    """The head of a stream, or less where it is damaged; and all of it."""
    pieces = filter(None, pieces)
    begin = b""
    error: DamagedInputError | OSError | None = None
    try:
        while len(begin) < _HEAD_BYTES and (piece := next(pieces, b"")):
            begin += piece
    except (DamagedInputError, OSError) as ending:
        error = ending
    stream = BufferedReader(_Stream(begin, pieces, error), _BUFFER_BYTES)
    return begin[:_HEAD_BYTES], stream


def _decompress(content: BufferedIOBase, kind: str) -> Iterator[bytes]:
    while True:
        try:
            piece = content.read1(_BUFFER_BYTES)
        except _DECOMPRESSION_ERRORS as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # from the disk, not from the data
            raise DamagedInputError(
                f"From here on the {kind} data is damaged or cut off; it was not read."
            ) from error
        if not piece:
            return
        yield piece


def _transcode(stream: BufferedIOBase, mark: bytes, encoding: str) -> Iterator[bytes]:
    """The stream as UTF-8 without its byte order mark."""
    stream.read(len(mark))
    if encoding == "utf-8":
        yield from _pieces_of(stream)
        return
    # Lone surrogates become invalid UTF-8, which is reported with its line.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        for piece in _pieces_of(stream):
            text = decoder.decode(piece, final=not piece)
            yield text.encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DamagedInputError(
            f"From here on the file is not {encoding.upper()}; it was not read."
        ) from error


def _pieces_of(stream: BufferedIOBase) -> Iterator[bytes]:
    """All pieces of a stream; the last one is empty."""
    while piece := stream.read1(_BUFFER_BYTES):
        yield piece
    yield b""


def _encoding_of(head: bytes) -> tuple[bytes, str] | None:
    """Byte order mark and encoding; None for UTF-8 without a mark.

    UTF-16 without a mark is recognised by the NUL in each of its first letters.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return mark, encoding
    start = [byte != 0 for byte in head[:4]]
    if start == [True, False, True, False]:
        return b"", "utf-16-le"
    return (b"", "utf-16-be") if start == [False, True, False, True] else None


def _size_of(file: BufferedIOBase) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None

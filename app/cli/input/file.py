"""Opening what a command reads: a file or stdin, compressed or not."""

import gzip
import os
import stat
import sys
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import cast

from typing_extensions import Buffer, override

# What reading damaged gzip data raises (RFC 1952): cut off, foreign, or corrupt.
GZIP_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)

STDIN = Path("-")
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 128 * 1024


class _PrefixedStream(RawIOBase):
    """What was read ahead, and then the rest; counts the bytes that go through."""

    def __init__(self, ahead: bytes, rest: BufferedIOBase) -> None:
        self._ahead = ahead
        self._rest = rest
        self.count = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        piece = self._ahead[: len(view)] or self._rest.read1(len(view))
        self._ahead = self._ahead[len(piece) :]
        view[: len(piece)] = piece
        self.count += len(piece)
        return len(piece)


class _Unzipped(RawIOBase):
    """What gzip makes of a stream, up to where it is damaged, and no end after that.

    Asked once more, gzip would take what is cut off for a file that ends there.
    """

    def __init__(self, compressed: BufferedIOBase) -> None:
        self._content = gzip.GzipFile(fileobj=compressed)
        self._damage: Exception | None = None

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        if self._damage is not None:
            raise self._damage
        view = memoryview(buffer)
        try:
            piece = self._content.read1(len(view))
        except GZIP_ERRORS as error:
            self._damage = error
            raise
        view[: len(piece)] = piece
        return len(piece)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that is being read.

    Attributes:
        name: as the operator knows it.
        stream: its bytes, decompressed, without a byte order mark.
        total: bytes on disk, compressed or not; None where that is not known.
    """

    name: str
    stream: BufferedIOBase
    total: int | None
    _source: _PrefixedStream

    @property
    def position(self) -> int:
        """How many of the bytes on disk have been read, some of them ahead."""
        return self._source.count


@contextmanager
def open_input(path: Path) -> Iterator[InputFile]:
    """Open a file, or stdin for `-`; gzip is told by its first two bytes.

    Raises:
        OSError: it cannot be opened.
    """
    if path == STDIN:
        # It is buffered, whatever PYTHONUNBUFFERED says, though its type is less.
        yield _open("stdin", cast("BufferedIOBase", sys.stdin.buffer))
        return
    with path.open("rb") as file:
        yield _open(path.name, file)


def resume(ahead: bytes, rest: BufferedIOBase) -> BufferedIOBase:
    """A stream as it was before some of it was read ahead."""
    return BufferedReader(_PrefixedStream(ahead, rest), _BUFFER_BYTES)


def _open(name: str, file: BufferedIOBase) -> InputFile:
    magic = file.read(len(_GZIP_MAGIC))
    source = _PrefixedStream(magic, file)
    stream: BufferedIOBase = BufferedReader(source, _BUFFER_BYTES)
    if magic == _GZIP_MAGIC:
        stream = BufferedReader(_Unzipped(stream), _BUFFER_BYTES)
    return InputFile(name, _without_mark(stream), _size_of(file), source)


def _without_mark(stream: BufferedIOBase) -> BufferedIOBase:
    try:
        start = stream.read(len(BOM_UTF8))
    except GZIP_ERRORS:
        return stream  # whoever reads on meets it again
    return stream if start == BOM_UTF8 else resume(start, stream)


def _size_of(file: BufferedIOBase) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None

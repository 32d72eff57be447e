"""Cut a file into its JSON values: concatenated objects, and the elements of arrays.

Only brackets, commas and quotes are examined, so a broken value does not hide those
after it. `app.pipeline.json_decode` decides whether a value is JSON.
"""

import re
from collections.abc import Iterator
from io import BufferedIOBase

_CHUNK_BYTES = 128 * 1024
_SPACE = b" \t\r\n"  # RFC 8259 section 2
# Levels that each opens.
_SIGNS = {b"[": 1, b"{": 1, b",": 0, b"]": -1, b"}": -1}
# White space, and the record separator of JSON text sequences (RFC 7464).
_SEPARATORS = re.compile(rb"[ \t\r\n\x1e]*+")
# Up to the next bracket outside strings; between elements also up to a comma.
# Possessive, so that no byte is read twice.
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class JsonReader:
    """Reads JSON values of any number, on one line or many, in bounded memory.

    Args:
        stream: objects, arrays of values, or both, with or without space between.
        max_bytes: maximum length of one value; a longer one is dropped.

    Attributes:
        line: in which the current value begins, from 1.
    """

    def __init__(self, stream: BufferedIOBase, *, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._buffer = b""
        self._start = 0  # offset in the buffer from which the value is not held yet
        self._at = 0  # offset up to which the buffer has been examined
        self._held = b""  # the value up to the buffer, without space before it
        self._dropped_lines = 0
        self._is_too_long = False
        self._is_in_string = False
        self._depth = 0
        self.line = 1

    def values(self) -> Iterator[tuple[int, bytes | None]]:
        """Each value and the line that it begins in, from 1; None for one too long.

        Raises:
            ValueError: an array or an object does not end; the text says which.
        """
        while first := self._first_byte():
            if first == b"[":
                yield from self._elements()
            elif first == b"{":
                yield self._object()
            else:
                yield self._rest_of_line()

    def _first_byte(self) -> bytes:
        """Go to the next value at the top level; empty at the end of the file."""
        while True:
            match = _SEPARATORS.match(self._buffer, self._at)
            end = match.end() if match else self._at
            self.line += self._buffer.count(b"\n", self._at, end)
            self._start = self._at = end
            if end < len(self._buffer):
                return self._buffer[end : end + 1]
            if not self._read_on():
                return b""

    def _elements(self) -> Iterator[tuple[int, bytes | None]]:
        self._at += 1
        self._start = self._at
        self._depth = 1
        is_first = True
        while sign := self._next_sign():
            if self._depth == 0 or (self._depth == 1 and sign == b","):
                line, element = self._cut(self._at - 1)
                if not (self._depth == 0 and is_first and element == b""):
                    yield line, element
                is_first = False
                if self._depth == 0:
                    if sign != b"]":
                        raise ValueError(
                            "The array ends with }; the rest was not read."
                        )
                    return
        raise ValueError("The array does not end.")

    def _object(self) -> tuple[int, bytes | None]:
        self._depth = 1  # as if it stood in an array
        while self._next_sign():
            if self._depth == 1:
                return self._cut(self._at)
        raise ValueError("The object does not end.")

    def _rest_of_line(self) -> tuple[int, bytes | None]:
        """A value that is neither an array nor an object: it ends with its line."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            self._at = len(self._buffer)
            if not self._read_on():
                return self._cut(self._at)
        self._at = end
        return self._cut(end)

    def _next_sign(self) -> bytes:
        """Go behind the next bracket or comma and return it; empty at the end."""
        while True:
            if self._is_in_string:
                pattern = _TO_QUOTE
            else:
                pattern = _TO_COMMA if self._depth == 1 else _TO_BRACKET
            if match := pattern.match(self._buffer, self._at):
                self._at = match.end()
            sign = self._buffer[self._at : self._at + 1]
            if sign in _SIGNS:
                self._at += 1
                self._depth += _SIGNS[sign]
                return sign
            if sign == b'"':  # of a string that does not end in the buffer
                self._is_in_string = not self._is_in_string
                self._at += 1
            elif not self._read_on():
                return b""

    def _read_on(self) -> bool:
        """Read the next chunk; hold the examined part of the value unless too long."""
        self._hold(self._at)
        if len(self._held) > self._max_bytes:
            self._is_too_long = True
            self._dropped_lines += self._held.count(b"\n")
            self._held = b""
        chunk = self._stream.read1(_CHUNK_BYTES)
        self._buffer = self._buffer[self._at :] + chunk
        self._start = self._at = 0
        return bool(chunk)

    def _hold(self, end: int) -> None:
        """Hold the value up to this offset."""
        piece = self._buffer[self._start : end]
        if not self._held and not self._is_too_long:
            rest = piece.lstrip(_SPACE)
            self.line += piece.count(b"\n", 0, len(piece) - len(rest))
            piece = rest
        self._held += piece

    def _cut(self, end: int) -> tuple[int, bytes | None]:
        """The value up to this offset, and the line that it begins in."""
        self._hold(end)
        self._start = self._at
        line, value = self.line, self._held.rstrip(_SPACE)
        self.line += self._dropped_lines + self._held.count(b"\n")
        is_whole = not self._is_too_long and len(value) <= self._max_bytes
        self._held, self._dropped_lines, self._is_too_long = b"", 0, False
        return line, value if is_whole else None

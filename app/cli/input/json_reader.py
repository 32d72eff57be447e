"""Cut a file into its JSON values: concatenated objects, and the elements of arrays.

Only brackets, commas and quotes are examined, so a broken value does not hide those
after it. `app.pipeline.json_decode` decides whether a value is JSON.
"""

import re
from collections.abc import Iterator
from io import BufferedIOBase

_CHUNK_BYTES = 128 * 1024
_SPACE = b" \t\r\n"  # RFC 8259 section 2
_OPENING, _CLOSING = b"[{", b"]}"
# White space, and the record separator of JSON text sequences (RFC 7464).
_SEPARATORS = re.compile(rb"[ \t\r\n\x1e]*+")
# Up to the next bracket outside strings; between elements also up to a comma.
# Possessive, so that no byte is read twice.
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_INSIDE_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+', re.DOTALL)


class JsonReader:
    """Reads JSON values of any number, on one line or many, in bounded memory.

    Args:
        stream: objects, arrays of values, or both, with or without space between.
        max_bytes: maximum length of one value; a longer one is dropped.
    """

    def __init__(self, stream: BufferedIOBase, *, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._buffer = b""
        self._start = 0  # offset of the value in the buffer
        self._at = 0  # offset up to which it has been examined
        self._depth = 0
        self._line = 1
        self._too_long_from: int | None = None

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

    @property
    def line(self) -> int:
        """Current line of the file, from 1."""
        return self._line

    def _first_byte(self) -> bytes:
        """Go to the next value at the top level; empty at the end of the file."""
        while True:
            match = _SEPARATORS.match(self._buffer, self._at)
            end = match.end() if match else self._at
            self._line += self._buffer.count(b"\n", self._at, end)
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
            self._count(sign)
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
        self._pass_space(self._buffer[self._start :])
        raise ValueError("The array does not end.")

    def _object(self) -> tuple[int, bytes | None]:
        self._depth = 1  # as if it stood in an array
        while sign := self._next_sign():
            self._count(sign)
            if self._depth == 1:
                return self._cut(self._at)
        raise ValueError("The object does not end.")

    def _rest_of_line(self) -> tuple[int, bytes | None]:
        """A value that is neither an array nor an object: it ends with its line."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            self._at = len(self._buffer)
            if not self._read_on():
                end = len(self._buffer)
                break
        self._at = end
        return self._cut(end)

    def _count(self, sign: bytes) -> None:
        if sign in _OPENING:
            self._depth += 1
        elif sign in _CLOSING:
            self._depth -= 1

    def _next_sign(self) -> bytes:
        """Go behind the next bracket or comma and return it; empty at the end."""
        while True:
            pattern = _TO_COMMA if self._depth == 1 else _TO_BRACKET
            match = pattern.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            sign = self._buffer[self._at : self._at + 1]
            if sign and sign != b'"':
                self._at += 1
                return sign
            # The buffer ends here, perhaps within a string.
            if not self._read_on():
                return b""

    def _read_on(self) -> bool:
        if len(self._buffer) - self._start > self._max_bytes:
            self._drop()
        chunk = self._stream.read1(_CHUNK_BYTES)
        self._buffer = self._buffer[self._start :] + chunk
        self._at -= self._start
        self._start = 0
        return bool(chunk)

    def _drop(self) -> None:
        """Drop the buffered part of a value, except for an open string."""
        held = self._buffer[self._start :]
        if self._too_long_from is None:
            held = self._pass_space(held)
            if len(held) <= self._max_bytes:
                self._start = len(self._buffer) - len(held)
                return
            self._too_long_from = self._line
        kept = self._buffer[self._at :]
        if len(kept) > self._max_bytes:
            match = _INSIDE_STRING.match(kept)
            kept = b'"' + kept[match.end() if match else len(kept) :]
        self._line += held.count(b"\n") - kept.count(b"\n")
        self._buffer = kept
        self._start = self._at = 0

    def _cut(self, end: int) -> tuple[int, bytes | None]:
        held = self._pass_space(self._buffer[self._start : end])
        self._start = self._at
        line = self._too_long_from or self._line
        self._line += held.count(b"\n")
        element = held.rstrip(_SPACE)
        is_whole = self._too_long_from is None and len(element) <= self._max_bytes
        self._too_long_from = None
        return line, element if is_whole else None

    def _pass_space(self, text: bytes) -> bytes:
        rest = text.lstrip(_SPACE)
        self._line += text[: len(text) - len(rest)].count(b"\n")
        return rest

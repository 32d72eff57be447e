"""The elements of a JSON array, one by one, however long the array is.

Only brackets, commas and quotes are looked at, so that a broken element does not
hide those after it; `app.pipeline.json_decode` decides whether an
element is JSON.
"""

import re
from collections.abc import Iterator
from io import BufferedIOBase

_CHUNK_BYTES = 128 * 1024
_SPACE = b" \t\r\n"  # RFC 8259 section 2
_OPENING, _CLOSING = b"[{", b"]}"
# All up to the next bracket that is in no text, and between elements also to a comma.
# Possessive, so that nothing is read twice.
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_INSIDE_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+', re.DOTALL)


class ArrayReader:
    """Cuts an array into its elements.

    Args:
        stream: begins with the array, white space aside.
        max_bytes: of one element, and of the space behind it; a longer one is dropped.
    """

    def __init__(self, stream: BufferedIOBase, *, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._buffer = b""
        self._start = 0  # of the element, in the buffer
        self._at = 0  # what is before it has been looked at
        self._depth = 0
        self._line = 1
        self._too_long_from: int | None = None

    def elements(self) -> Iterator[tuple[int, bytes | None]]:
        """Each element, and the line that it begins in; None for one too long.

        Raises:
            ValueError: the array does not end, or not there; the text says which.
        """
        is_first = True
        while sign := self._next_sign():
            if sign in _OPENING:
                self._depth += 1
                if self._depth == 1:
                    self._start = self._at
            elif sign in _CLOSING:
                self._depth -= 1
            if self._depth == 0 or (self._depth == 1 and sign == b","):
                line, element = self._cut()
                ends = self._depth == 0
                if not (ends and is_first and element == b""):
                    yield line, element
                is_first = False
                if ends:
                    self._check_end(sign)
                    return
        self._pass_space(self._buffer[self._start :])
        raise ValueError("The array does not end.")

    @property
    def line(self) -> int:
        """The line of the file at which the reader is, from 1."""
        return self._line

    def _next_sign(self) -> bytes:
        """Go behind the next sign that matters and return it; none at the end."""
        while True:
            pattern = _TO_COMMA if self._depth == 1 else _TO_BRACKET
            match = pattern.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            sign = self._buffer[self._at : self._at + 1]
            if sign and sign != b'"':
                self._at += 1
                return sign
            # Here what is in the buffer ends, perhaps within a text.
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
        """Forget what is held of an element, but for where a text in it may end."""
        held = self._buffer[self._start :]
        if self._too_long_from is None:
            held = self._pass_space(held)
            if len(held) <= self._max_bytes:
                self._start = len(self._buffer) - len(held)
                return
            self._too_long_from = self._line
        kept = self._buffer[self._at :]
        if len(kept) > self._max_bytes:
            match = _INSIDE_TEXT.match(kept)
            kept = b'"' + kept[match.end() if match else len(kept) :]
        self._line += held.count(b"\n") - kept.count(b"\n")
        self._buffer = kept
        self._start = self._at = 0

    def _cut(self) -> tuple[int, bytes | None]:
        held = self._pass_space(self._buffer[self._start : self._at - 1])
        self._start = self._at
        line = self._too_long_from or self._line
        self._line += held.count(b"\n")
        element = held.rstrip(_SPACE)
        is_whole = self._too_long_from is None and len(element) <= self._max_bytes
        self._too_long_from = None
        return line, element if is_whole else None

    def _check_end(self, sign: bytes) -> None:
        rest = self._pass_space(self._buffer[self._at :])
        while sign == b"]" and not rest:
            chunk = self._stream.read1(_CHUNK_BYTES)
            if not chunk:
                return
            rest = self._pass_space(chunk)
        raise ValueError("The array ends before its file; the rest was not read.")

    def _pass_space(self, text: bytes) -> bytes:
        rest = text.lstrip(_SPACE)
        self._line += text[: len(text) - len(rest)].count(b"\n")
        return rest

"""Rows of CSV (RFC 4180) as events."""

import csv
import math
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from typing import Any

from typing_extensions import override

from app.cli.input.csv_mapping import Cell, CsvMapping
from app.cli.input.items import (
    Sent,
    UnreadableItem,
    max_line_bytes,
    may_be_large,
    read_lines,
)
from app.errors import ConfigurationError, InvalidJsonError
from app.pipeline.json_decode import Decoded, OutOfRangeNumber, decode
from app.pipeline.record import Body, Policy


class _UnreadableRowError(Exception):
    """One row that holds no event; the text says why."""


class _TextLines(Iterator[str]):
    """The lines of a file as `csv.reader` takes them.

    Not a generator, which would be at its end after one line that is too long.
    """

    def __init__(self, stream: BufferedIOBase, max_bytes: int) -> None:
        self._lines = read_lines(stream, max_bytes=max_bytes)
        self._max_bytes = max_bytes
        self.number = 0

    @override
    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if line is None:
            raise _UnreadableRowError(f"Longer than {self._max_bytes} bytes.")
        # So that what is no UTF-8 is met in its row, and harms no other.
        return line.decode("utf-8", "surrogateescape")


class RowReader:
    """Reads the rows of a file as events.

    Args:
        stream: of the file, from its header.
        plan: which column goes where.
        policy: what an event may be.
        announce: told which columns are not used.

    Raises:
        ConfigurationError: the header is missing, or is not what the plan needs.
    """

    def __init__(
        self,
        stream: BufferedIOBase,
        *,
        plan: CsvMapping,
        policy: Policy,
        announce: Callable[[str], None],
    ) -> None:
        max_bytes = max_line_bytes(policy)
        csv.field_size_limit(max_bytes)
        self._lines = _TextLines(stream, max_bytes)
        self._rows = csv.reader(self._lines, strict=True)
        self._policy = policy
        self._width, self._cells = self._read_header(plan, announce)
        self._constants = plan.constant_keys()
        places = [*self._constants, *((cell.keys, "") for cell in self._cells)]
        self._is_deep = max(len(keys) for keys, _ in places) > policy.max_depth
        self._frame = sum(
            len(text) + sum(len(key) + 8 for key in keys) for keys, text in places
        )

    def events(self) -> Iterator[Sent | UnreadableItem]:
        """Each row that is not blank."""
        while True:
            line = self._lines.number + 1
            try:
                row = next(self._rows)
                if row:
                    yield self._event(line, row)
            except StopIteration:
                return
            except (csv.Error, _UnreadableRowError) as error:
                yield UnreadableItem(line, f"{self._reach(line)}{error}")

    def _reach(self, line: int) -> str:
        """How far a row goes that could not be told from the next."""
        if self._lines.number == line:
            return ""
        return f"The row that goes on to line {self._lines.number}: "

    def _read_header(
        self, plan: CsvMapping, announce: Callable[[str], None]
    ) -> tuple[int, list[Cell]]:
        try:
            header = next(self._rows, [])
        except (csv.Error, _UnreadableRowError) as error:
            raise ConfigurationError(f"The header cannot be read: {error}") from None
        cells = plan.cells(header)
        if not cells:
            raise ConfigurationError(
                "No column is used: CSV needs a header, and --map PATH=COLUMN for "
                "each column that does not have the name of a field."
            )
        unused = [n for n in header if n not in {cell.column for cell in cells}]
        if unused:
            announce(f"Not used: the columns {', '.join(unused)}.")
        return len(header), cells

    def _event(self, line: int, row: list[str]) -> Sent:
        if len(row) != self._width:
            raise _UnreadableRowError(
                f"The row has {len(row)} cells, the header {self._width}."
            )
        text = "".join(row)
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise _UnreadableRowError("The row is not UTF-8.") from None
        event: dict[str, Any] = {"properties": {}}
        for keys, constant in self._constants:
            _place(event, keys, constant)
        is_plain = "\0" not in text
        for cell in self._cells:
            content = row[cell.at]
            if not content:
                continue
            value: Any = content
            if cell.is_number:
                number = _number(cell, content)
                value = number.value
                is_plain = is_plain and number.plain
            _place(event, cell.keys, value)
        is_large = may_be_large(size + self._frame, self._policy)
        body = Body(plain=is_plain, deep=self._is_deep, large=is_large)
        return Sent(line, event, body, size)


def _place(event: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    *outer, last = keys
    for key in outer:
        event = event.setdefault(key, {})
    event[last] = value


def _number(cell: Cell, text: str) -> Decoded:
    try:
        decoded = decode(text.encode(), max_depth=1)
    except InvalidJsonError:
        decoded = Decoded(None, plain=True, deep=False)
    if not _is_number(decoded.value):
        raise _UnreadableRowError(f"The cell of `{cell.column}` is no number.")
    return decoded


def _is_number(value: object) -> bool:
    return type(value) in {int, OutOfRangeNumber} or (
        type(value) is float and math.isfinite(value)
    )

"""Read the rows of a CSV file (RFC 4180) as events."""

import csv
from collections.abc import Callable, Iterator

from typing_extensions import override

from app.cli.input.file import InputFile, swap_line_ends
from app.cli.input.items import (
    BlankItem,
    DecodedItem,
    UnreadableItem,
    max_row_bytes,
    read_lines,
)
from app.cli.input.table.cells import CellReader, RowEvent, UnreadableRowError
from app.cli.input.table.dialect import find_delimiter
from app.cli.input.table.mapping import CsvMapping, is_export
from app.errors import ConfigurationError
from app.pipeline.record import BodyTraits, Policy

# A row of more lines is more likely a stray quote than text of so many lines.
_MAX_ROW_LINES = 10
# Fewer cells may stand in a line of text by chance.
_LEAST_CELLS, _LEAST_ROWS = 3, 2
# Columns of an export that are read from other columns, or not needed.
_DERIVED = frozenset({"received_at", "stored_at", "bucket", "import_id"})


class _TextLines(Iterator[str]):
    """The lines of a file for `csv.reader`, and those of the current row.

    A generator would be at its end after one line that is too long.
    """

    def __init__(self, file: InputFile, max_bytes: int) -> None:
        self._lines = read_lines(file.stream, max_bytes=max_bytes)
        self._has_cr_lines = file.has_cr_lines
        self._max_bytes = max_bytes
        self.number = 0
        self.row: list[str] = []

    @override
    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if line is None:
            raise UnreadableRowError(f"Longer than {self._max_bytes} bytes.")
        if self._has_cr_lines:
            line = swap_line_ends(line)
        # Bytes that are not UTF-8 are found in their row and harm no other.
        text = line.decode("utf-8", "surrogateescape")
        self.row.append(text)
        return text


class RowReader:
    """Reads the rows of a file as events.

    `csv.field_size_limit` has to be at least `max_row_bytes`.

    Raises:
        ConfigurationError: the header is absent, or lacks a column of the mapping.
    """

    def __init__(
        self,
        file: InputFile,
        *,
        mapping: CsvMapping,
        policy: Policy,
        announce: Callable[[str], None],
    ) -> None:
        self._policy = policy
        self._mapping = mapping
        self._lines = _TextLines(file, max_row_bytes(policy))
        self._delimiter, skipped = find_delimiter(file, mapping, announce)
        for _ in range(skipped):
            next(self._lines)
        self._rows = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        self._header = self._read_header()
        self._is_export = is_export(self._header)
        self._cells = self._bind(announce)
        self._constants = [
            (tuple(path.split(".")), text) for path, text in mapping.constants.items()
        ]

    def items(self) -> Iterator[DecodedItem | UnreadableItem | BlankItem]:
        """Each row."""
        while True:
            line = self._lines.number + 1
            self._lines.row.clear()
            try:
                row = next(self._rows)
                self._check_extent()
                if any(map(str.strip, row)):
                    yield self._event(line, row)
                else:
                    yield BlankItem(line)
            except StopIteration:
                return
            except (csv.Error, UnreadableRowError) as error:
                yield UnreadableItem(line, f"{self._extent(line)}{error}")

    def _extent(self, line: int) -> str:
        """Which lines a row has, where it has more than one."""
        if self._lines.number == line:
            return ""
        return f"The row of lines {line} to {self._lines.number}: "

    def _check_extent(self) -> None:
        """Refuse a row that swallowed others because of a stray quote."""
        lines = self._lines.row
        if self._is_export:
            return
        limit = self._mapping.max_row_lines
        if len(lines) <= (limit or _MAX_ROW_LINES):
            if limit is not None or len(self._header) < _LEAST_CELLS:
                return
            commas = len(self._header) - 1
            whole = [line.count(self._delimiter) == commas for line in lines[1:-1]]
            if sum(whole) < _LEAST_ROWS:
                return
        raise UnreadableRowError(
            "A quote that closes so late is probably a stray one; mend it, or read "
            "such rows with --max-row-lines."
        )

    def _read_header(self) -> list[str]:
        try:
            header = next(self._rows, [])
        except (csv.Error, UnreadableRowError) as error:
            raise ConfigurationError(f"The header cannot be read: {error}") from None
        return [name.strip() for name in header]

    def _bind(self, announce: Callable[[str], None]) -> list[CellReader]:
        header = self._header
        bindings = self._mapping.bind(header)
        if not bindings:
            raise ConfigurationError(
                "No column is used: CSV needs a header, and --map PATH=COLUMN for "
                "each column that does not have the name of a field."
            )
        used = {header[column] for column in bindings.values()}
        known = used | (_DERIVED if self._is_export else set())
        unused = [name for name in header if name and name not in known]
        if unused:
            announce(f"Columns not used: {', '.join(unused)}.")
        return [
            CellReader(
                path,
                column,
                mapping=self._mapping,
                policy=self._policy,
                is_export=self._is_export,
            )
            for path, column in bindings.items()
        ]

    def _event(self, line: int, row: list[str]) -> DecodedItem:
        width = len(self._header)
        if len(row) != width and (len(row) < width or any(row[width:])):
            raise UnreadableRowError(
                f"The row has {len(row)} cells, the header {width}."
            )
        text = "".join(row)
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise UnreadableRowError("The row is not UTF-8.") from None
        event = RowEvent(plain="\0" not in text)
        for reader in self._cells:
            value = reader.read(row[reader.column], event)
            if value is not None:
                event.put(reader.keys, value)
        for keys, constant in self._constants:
            event.put(keys, constant)
        # Columns add to the depth and size of an event, so both are examined.
        traits = BodyTraits(plain=event.plain, deep=True, large=True)
        warnings, errors = tuple(event.warnings), tuple(event.errors)
        return DecodedItem(line, event.value, traits, size, warnings, errors)


def allow_long_fields(policy: Policy) -> None:
    """Set the limit of a cell, which the csv module has for the whole process."""
    csv.field_size_limit(max_row_bytes(policy))

"""From the text of a cell to the value of a field."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from app.cli.files.csv_output import escape_formulas, unescape_formulas
from app.cli.input.items import FileWarning
from app.cli.input.table.mapping import ID_FIELDS, CellType, CsvMapping
from app.cli.input.table.times import TimeReader
from app.pipeline.issues import ErrorCode, Issue
from app.pipeline.json_decode import MAX_BODY_DEPTH, decode
from app.pipeline.record import Policy
from app.request_errors import InvalidJsonError

# What a spreadsheet or a data frame makes of an id of many digits, or of an integer
# in a column with gaps.
_REWRITTEN_ID = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+|[0-9]+[.,]0+")


class UnreadableRowError(Exception):
    """A row that holds no event; the text says why."""


@dataclass(slots=True)
class RowEvent:
    """The event of a row, while its cells are read.

    Attributes:
        plain: whether all of it can be stored as it is (`Decoded.plain`).
        warnings: assumptions that were made.
        errors: why it must be rejected.
    """

    plain: bool
    value: dict[str, Any] = field(default_factory=lambda: {"properties": {}})
    warnings: list[Issue] = field(default_factory=list)
    errors: list[Issue] = field(default_factory=list)

    def put(self, keys: tuple[str, ...], value: Any) -> None:
        """Put a value at its place; it is an error if another one is there."""
        *outer, last = keys
        holder: Any = self.value
        for key in outer:
            holder = holder.setdefault(key, {})
            if not isinstance(holder, dict):
                self._note_conflict(keys)
                return
        if holder.get(last) in ({}, None):
            holder[last] = value
        elif holder[last] != value:
            self._note_conflict(keys)

    def _note_conflict(self, keys: tuple[str, ...]) -> None:
        message = (
            "Two columns, or a column and --set, have different values for this place."
        )
        self.errors.append(Issue(ErrorCode.CONFLICTING_FIELDS, ".".join(keys), message))


class CellReader:
    """Reads the cells of one column.

    Args:
        path: place in the event, such as `properties.email`.
        column: place in the row, from 0.
        mapping: options for all columns.
        policy: limits of an event.
        is_export: whether `rollcall export` wrote the file, so that apostrophes
            before formulas are undone.
    """

    def __init__(
        self,
        path: str,
        column: int,
        *,
        mapping: CsvMapping,
        policy: Policy,
        is_export: bool,
    ) -> None:
        self.column = column
        self.keys = tuple(path.split("."))
        self._path = path
        self._type = mapping.type_of(path)
        self._is_id = self.keys[-1] in ID_FIELDS and self.keys[0] != "properties"
        self._nulls = mapping.nulls
        self._is_export = is_export
        self._is_escaped = is_export and not mapping.raw_cells
        self._times = TimeReader(
            mapping.date_formats.get(path),
            mapping.timezone,
            policy.timestamps.two_digit_year,
        )

    def read(self, text: str, event: RowEvent) -> Any:
        """The value of a cell; None for the empty one and null markers."""
        if not text or text in self._nulls:
            return None
        match self._type:
            case CellType.NUMBER | CellType.JSON:
                return self._decode(text, event)
            case CellType.TIME:
                return self._read_time(text, event)
            case CellType.TEXT:
                is_checked = self._is_id and not self._is_export
                if is_checked and _REWRITTEN_ID.fullmatch(text):
                    message = "The id looks like a number that a spreadsheet rewrote."
                    self._warn(event, FileWarning.ID_LOOKS_REWRITTEN, message)
                return self._unescape(text) if self._is_escaped else text

    def _decode(self, text: str, event: RowEvent) -> Any:
        """A number or JSON; text that is neither is kept, with a warning."""
        try:
            decoded = decode(text.strip().encode(), max_depth=MAX_BODY_DEPTH)
        except InvalidJsonError:
            decoded = None
        is_number = self._type is CellType.NUMBER
        if decoded is None or (is_number and not _is_number(decoded.value)):
            message = f"The cell is no {self._type}; it was taken as text."
            self._warn(event, FileWarning.CELL_KEPT_AS_TEXT, message)
            return text
        event.plain = event.plain and decoded.plain
        return decoded.value

    def _read_time(self, text: str, event: RowEvent) -> str:
        try:
            time, conversion = self._times.read(text)
        except ValueError as error:
            event.errors.append(
                Issue(ErrorCode.INVALID_TIMESTAMP, self._path, str(error))
            )
            return text
        if conversion is not None:
            message = (
                f"The time was read with the {conversion} that the import was given."
            )
            self._warn(event, FileWarning.TIME_CONVERTED, message)
        return time

    def _warn(self, event: RowEvent, code: FileWarning, message: str) -> None:
        event.warnings.append(Issue(code, self._path, message))

    def _unescape(self, text: str) -> str:
        unescaped = unescape_formulas(text)
        if escape_formulas(unescaped) != text:
            raise UnreadableRowError(
                f"The cell of `{self._path}` has no apostrophe before a "
                "formula: import the file with --raw-cells if it was exported so."
            )
        return unescaped


def _is_number(value: object) -> bool:
    """Whether it is a JSON number, of any size."""
    if isinstance(value, str | bool | list | dict | None):
        return False
    return not isinstance(value, float) or math.isfinite(value)

"""From the text of a cell to the value of a field."""

import math
import re
from typing import Any, NamedTuple

from app.cli.files.csv_output import escape_formulas, unescape_formulas
from app.cli.input.items import FileWarning
from app.cli.input.table.mapping import ID_FIELDS, CellType, CsvMapping
from app.cli.input.table.times import TimeReader
from app.pipeline.issues import Issue
from app.pipeline.json_decode import MAX_BODY_DEPTH, decode
from app.pipeline.record import Policy
from app.request_errors import InvalidJsonError

# What a spreadsheet or a data frame makes of an id of many digits, or of an integer
# in a column with gaps.
_REWRITTEN_ID = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+|[0-9]+[.,]0+")


class UnreadableRowError(Exception):
    """A row that holds no event; the text says why."""


class Cell(NamedTuple):
    """The value of a cell.

    Attributes:
        value: None for no value.
        plain: whether JSON can be stored as it is (`Decoded.plain`).
        warning: an assumption that was made.
        error: why the event must be rejected.
    """

    value: Any
    plain: bool = True
    warning: Issue | None = None
    error: Issue | None = None


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

    def read(self, text: str) -> Cell:
        """The value of a cell; the empty one and null markers have none."""
        if not text or text in self._nulls:
            return Cell(None)
        match self._type:
            case CellType.NUMBER | CellType.JSON:
                return self._decode(text)
            case CellType.TIME:
                return self._read_time(text)
            case CellType.TEXT:
                warning = None if self._is_export else self._check_id(text)
                text = self._unescape(text) if self._is_escaped else text
                return Cell(text, warning=warning)

    def _decode(self, text: str) -> Cell:
        """A number or JSON; text that is neither is kept, with a warning."""
        try:
            decoded = decode(text.strip().encode(), max_depth=MAX_BODY_DEPTH)
        except InvalidJsonError:
            return self._keep_text(text)
        is_number = self._type is CellType.NUMBER
        if is_number and not _is_number(decoded.value):
            return self._keep_text(text)
        return Cell(decoded.value, plain=decoded.plain)

    def _keep_text(self, text: str) -> Cell:
        message = f"The cell is no {self._type}; it was taken as text."
        warning = Issue(FileWarning.CELL_KEPT_AS_TEXT, self._path, message)
        return Cell(text, warning=warning)

    def _read_time(self, text: str) -> Cell:
        try:
            time, conversion = self._times.read(text)
        except ValueError as error:
            return Cell(text, error=Issue("invalid_timestamp", self._path, str(error)))
        if conversion is None:
            return Cell(time)
        message = f"The time was read with the {conversion} that the import was given."
        warning = Issue(FileWarning.TIME_CONVERTED, self._path, message)
        return Cell(time, warning=warning)

    def _unescape(self, text: str) -> str:
        unescaped = unescape_formulas(text)
        if escape_formulas(unescaped) != text:
            raise UnreadableRowError(
                f"The cell of `{self._path}` has no apostrophe before a "
                "formula: import the file with --raw-cells if it was exported so."
            )
        return unescaped

    def _check_id(self, text: str) -> Issue | None:
        if not self._is_id or _REWRITTEN_ID.fullmatch(text) is None:
            return None
        return Issue(
            FileWarning.ID_LOOKS_REWRITTEN,
            self._path,
            "The id looks like a number that a spreadsheet rewrote.",
        )


def _is_number(value: object) -> bool:
    """Whether it is a JSON number, of any size."""
    if isinstance(value, str | bool | list | dict | None):
        return False
    return not isinstance(value, float) or math.isfinite(value)

"""Which column of a CSV file becomes which field of an event, and how it is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from app.errors import ConfigurationError
from app.events.envelope import FIELD_NAMES, GROUP_NAMES

_TIME_FIELDS = FIELD_NAMES["timestamp"]
ID_FIELDS = (*FIELD_NAMES["user_id"], *GROUP_NAMES, *FIELD_NAMES["message_id"])
FIELDS = (*FIELD_NAMES["event"], *ID_FIELDS, *_TIME_FIELDS)
_OBJECTS = ("properties", "context")
# Columns that `rollcall export` writes. They restore the sent form, and name no field.
EXPORT_COLUMNS = ("id", "source", "timestamp_raw", "extra", "warnings")
_EXPORT_SIGN = frozenset({"id", "source", "timestamp_raw", "stored_at"})


class CellType(StrEnum):
    """Type of the cells of a column."""

    TEXT = "text"
    NUMBER = "number"
    JSON = "json"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """Options for CSV.

    Attributes:
        columns: path in the event to column.
        constants: path to text that all events have there.
        types: path to the type of its cells.
        date_formats: path to the strptime format of its cells.
        nulls: cells that stand for no value; the empty cell always does.
        timezone: of timestamps that have no offset; None for UTC, with a warning.
        delimiter: between cells; None to detect it.
        max_row_lines: a row of more lines is taken for a stray quote; None for the
            default, together with a check whether it swallowed other rows.
        raw_cells: whether an export was written without apostrophes before formulas.
    """

    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    types: dict[str, CellType] = field(default_factory=dict)
    date_formats: dict[str, str] = field(default_factory=dict)
    nulls: frozenset[str] = frozenset()
    timezone: tzinfo | None = None
    delimiter: str | None = None
    max_row_lines: int | None = None
    raw_cells: bool = False

    def is_empty(self) -> bool:
        """Whether no option for CSV is given."""
        return self == CsvMapping()

    def count_used(self, header: Sequence[str]) -> int:
        """Number of columns that would be read."""
        mapped = set(self.columns.values())
        return sum(name in mapped or is_path(name) for name in header)

    def bind(self, header: Sequence[str]) -> dict[str, int]:
        """Path and place of each column to read: those mapped or named like a field.

        Short paths come first, so that an object is there before its parts.

        Raises:
            ConfigurationError: a column is absent or there twice, or two paths
                exclude each other.
        """
        columns = dict(self.columns)
        readable = EXPORT_COLUMNS if is_export(header) else ()
        for name in header:
            taken = name in columns.values() or name in self.constants
            if not taken and (is_path(name) or name in readable):
                columns.setdefault(name, name)
        for column in columns.values():
            if header.count(column) != 1:
                raise ConfigurationError(
                    f"The header must name the column `{column}` once; its columns "
                    f"are {', '.join(header)}."
                )
        _refuse_nesting([*columns, *self.constants])
        self._refuse_unmapped(columns)
        return {path: header.index(columns[path]) for path in sorted(columns, key=len)}

    def type_of(self, path: str) -> CellType:
        """The type of the cells of a column that is read."""
        if path in self.types:
            return self.types[path]
        if path in (*_OBJECTS, "extra", "warnings"):
            return CellType.JSON
        is_time = path in _TIME_FIELDS or path in self.date_formats
        return CellType.TIME if is_time else CellType.TEXT

    def _refuse_unmapped(self, columns: dict[str, str]) -> None:
        for option, paths in (
            ("--map-type", self.types),
            ("--date-format", self.date_formats),
        ):
            unmapped = sorted(paths.keys() - columns.keys())
            if unmapped:
                raise ConfigurationError(
                    f"{option} names {', '.join(unmapped)}, "
                    "to which no column is mapped."
                )


def is_path(text: str) -> bool:
    """Whether a text names a place in an event, such as `properties.email`."""
    keys = text.split(".")
    return all(keys) if keys[0] in _OBJECTS else text in FIELDS


def is_export(header: Iterable[str]) -> bool:
    """Whether a header is one that `rollcall export` writes."""
    return _EXPORT_SIGN.issubset(header)


def _refuse_nesting(paths: Sequence[str]) -> None:
    for path in paths:
        for other in paths:
            if other.startswith(f"{path}.") and path not in _OBJECTS:
                raise ConfigurationError(
                    f"{path} cannot be a value and hold {other} as well."
                )

"""Which column of a CSV file becomes which field of an event."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.errors import ConfigurationError
from app.events.envelope import (
    EVENT_NAMES,
    GROUP_NAMES,
    MESSAGE_NAMES,
    SDK_TIMESTAMP_NAMES,
    TIMESTAMP_NAMES,
    USER_NAMES,
)

_FIELDS = (
    *EVENT_NAMES,
    *USER_NAMES,
    *GROUP_NAMES,
    *TIMESTAMP_NAMES,
    *SDK_TIMESTAMP_NAMES,
    *MESSAGE_NAMES,
)
_OBJECTS = ("properties", "context")


class Cell(NamedTuple):
    """One cell of each row that is read.

    Attributes:
        at: its place in the row, from 0.
        column: its name in the header.
        keys: where it goes in the event, from the outside in.
        is_number: whether its text is a number, else it is text.
    """

    at: int
    column: str
    keys: tuple[str, ...]
    is_number: bool


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """What the options say about the columns.

    Attributes:
        columns: path in the event to column.
        constants: path to text that all events have there.
        numbers: paths whose cells are numbers.
    """

    columns: dict[str, str]
    constants: dict[str, str]
    numbers: frozenset[str]

    def is_empty(self) -> bool:
        """Whether nothing is said: each column stands for what it is named."""
        return not (self.columns or self.constants or self.numbers)

    def constant_keys(self) -> list[tuple[tuple[str, ...], str]]:
        """The constants, each with where it goes in the event."""
        return [(_keys(path), text) for path, text in self.constants.items()]

    def cells(self, header: Sequence[str]) -> list[Cell]:
        """What to read of each row: what is mapped, and what is named like a field.

        Raises:
            ConfigurationError: a column is not there or there twice, or two paths
                exclude each other.
        """
        columns = dict(self.columns)
        for name in header:
            taken = name in columns.values()
            if is_path(name) and not taken and name not in self.constants:
                columns.setdefault(name, name)
        for column in columns.values():
            if header.count(column) != 1:
                raise ConfigurationError(
                    f"The header must name the column `{column}` once; its columns "
                    f"are {', '.join(header)}."
                )
        paths = [*columns, *self.constants]
        _exclude_nesting(paths)
        unknown = self.numbers.difference(columns)
        if unknown:
            raise ConfigurationError(
                f"--map-type names {', '.join(sorted(unknown))}, "
                "to which no column is mapped."
            )
        return [
            Cell(header.index(column), column, _keys(path), path in self.numbers)
            for path, column in columns.items()
        ]


def parse_mapping(
    maps: Iterable[str], constants: Iterable[str], types: Iterable[str]
) -> CsvMapping:
    """Read the options --map, --set and --map-type.

    Raises:
        ConfigurationError: one of them is not `PATH=...`, or not a path of an event.
    """
    columns = _pairs("--map", maps)
    fixed = _pairs("--set", constants)
    kinds = _pairs("--map-type", types)
    wrong = sorted(set(kinds.values()) - {"number", "text"})
    if wrong:
        raise ConfigurationError(
            f"--map-type knows number and text, not {', '.join(wrong)}."
        )
    twice = sorted(columns.keys() & fixed.keys())
    if twice:
        raise ConfigurationError(f"--map and --set both give {', '.join(twice)}.")
    numbers = frozenset(path for path, kind in kinds.items() if kind == "number")
    return CsvMapping(columns, fixed, numbers)


def is_path(text: str) -> bool:
    """Whether a text names a place in an event, such as `properties.email`."""
    keys = _keys(text)
    if keys[0] in _OBJECTS:
        return len(keys) > 1 and all(keys)
    return text in _FIELDS


def _keys(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not value or not is_path(path):
            raise ConfigurationError(
                f"{option} {text} is not PATH=VALUE with a path such as "
                f"{', '.join(_FIELDS)}, properties.email or context.group_id."
            )
        if path in pairs:
            raise ConfigurationError(f"{option} gives {path} twice.")
        pairs[path] = value
    return pairs


def _exclude_nesting(paths: Sequence[str]) -> None:
    for path in paths:
        for other in paths:
            if other.startswith(f"{path}."):
                raise ConfigurationError(
                    f"{path} cannot be a value and hold {other} as well."
                )

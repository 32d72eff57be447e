"""Columns of a typed view: no change of a declaration ever drops or retypes one."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from app.events.declaration import Declaration

_MAX_IDENTIFIER_BYTES = 63


class ViewColumn(NamedTuple):
    """One column that shows a property.

    Attributes:
        names: names of the property in JSON, in reading order.
        type: of Postgres.
        comment: description of the property.
    """

    name: str
    names: tuple[str, ...]
    type: str
    comment: str

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `_asdict` made and JSON kept."""
        return cls(**document | {"names": tuple(document["names"])})


def plan_columns(
    declaration: Declaration, *, before: Sequence[ViewColumn], reserved: frozenset[str]
) -> list[ViewColumn]:
    """The columns of a view after a change of its declaration.

    Columns keep their place and their type. A property that is new, or has another
    type than any of its columns, gets a column at the end: `plan`, then `plan_2`.
    `reserved` are the names of the other columns of the view.
    """
    columns = list(before)
    for name, declared in declaration.properties.items():
        column_type = declared.property_type.column
        column = ViewColumn(
            name, (name, *declared.names), column_type, declared.description
        )
        for place, existing in enumerate(columns):
            if (existing.names[0], existing.type) == (name, column_type):
                columns[place] = column._replace(name=existing.name)
                break
        else:
            taken = reserved | {existing.name for existing in columns}
            columns.append(column._replace(name=_free_name(name, reserved, taken)))
    return columns


def _free_name(name: str, reserved: frozenset[str], taken: frozenset[str]) -> str:
    base = f"property_{name}" if name in reserved else name
    number = 1
    candidate = base[:_MAX_IDENTIFIER_BYTES]
    while candidate in taken:
        number += 1
        suffix = f"_{number}"
        candidate = base[: _MAX_IDENTIFIER_BYTES - len(suffix)] + suffix
    return candidate

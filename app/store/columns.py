"""Columns as the tables write them: each with its comment, few that may be NULL."""

from typing import Any, TypeAlias

from sqlalchemy import Column
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

Kind: TypeAlias = TypeEngine[Any] | type[TypeEngine[Any]]


def column(
    name: str, kind: Kind, comment: str, *items: SchemaItem, **options: Any
) -> Column[Any]:
    r"""A column that always has a value.

    Args:
        name: of the column.
        kind: its type.
        comment: what it means, as `\d+` shows it.
        items: its constraints.
        options: others of SQLAlchemy's `Column`.
    """
    return Column(name, kind, *items, comment=comment, nullable=False, **options)


def optional(name: str, kind: Kind, comment: str) -> Column[Any]:
    """A column that may be NULL; its comment says what that means."""
    return Column(name, kind, comment=comment)

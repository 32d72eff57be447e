"""What all tables share: columns, each with its comment, and names of constraints."""

from typing import Any, TypeAlias

from sqlalchemy import Column, DateTime, MetaData
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

Kind: TypeAlias = TypeEngine[Any] | type[TypeEngine[Any]]

INSTANT = DateTime(timezone=True)

# Postgres's own default names, so that a constraint has one name everywhere.
metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


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

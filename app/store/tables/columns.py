"""Helpers for all tables: commented columns and names of constraints."""

from typing import Any, TypeAlias

from sqlalchemy import Column, DateTime, MetaData
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

_Kind: TypeAlias = TypeEngine[Any] | type[TypeEngine[Any]]

INSTANT = DateTime(timezone=True)

# The default names of Postgres, so that a constraint has one name everywhere.
metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def column(
    name: str, kind: _Kind, comment: str, *items: SchemaItem, **options: Any
) -> Column[Any]:
    r"""A column that is NOT NULL; the comment is its meaning, as `\d+` shows it."""
    return Column(name, kind, *items, comment=comment, nullable=False, **options)


def optional(name: str, kind: _Kind, comment: str) -> Column[Any]:
    """A column that may be NULL; its comment says what NULL means."""
    return Column(name, kind, comment=comment)

"""Rows as readers see them: jsonb as Postgres writes it, instants in ISO-8601."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Dialect, FromClause, Text, TypeDecorator, cast
from sqlalchemy.dialects.postgresql import JSONB
from typing_extensions import override

from app.pipeline.timestamp import format_timestamp
from app.store.tables import rejected_events

# Columns of events and of their views that say nothing of an event.
NOT_SHOWN = frozenset({"bucket", "import_id", "timestamp_iso"})
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class JsonText(str):
    """The text of a jsonb value."""

    __slots__ = ()


class JsonAsText(TypeDecorator[str]):
    """Reads jsonb as Postgres writes it, so that no number changes."""

    impl = Text
    cache_ok = True

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else JsonText(value)


def shown_columns(relation: FromClause) -> list[ColumnElement[Any]]:
    """The columns of a table or view of events that readers see, jsonb as its text."""
    return [
        cast(c, JsonAsText).label(c.name) if isinstance(c.type, JSONB) else c
        for c in relation.c
        if c.name not in NOT_SHOWN and c is not rejected_events.c.stored_at
    ]


def row_json(names: Sequence[str], row: Sequence[Any]) -> bytes:
    """An object with a member for each column."""
    columns = zip(map(str, names), row, strict=True)  # orjson takes no other text
    return orjson.dumps(dict(columns), default=_as_json, option=_OPTIONS)


def _as_json(value: object) -> object:
    match value:
        case datetime():
            return format_timestamp(value)
        case UUID():  # the driver's own kind
            return str(value)
        case JsonText() | Decimal():
            return orjson.Fragment(str(value))
        case _:
            raise TypeError(type(value))

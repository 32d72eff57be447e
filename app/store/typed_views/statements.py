"""SQL of a typed view. Names and texts of declarations are quoted, never trusted."""

from collections.abc import Iterator, Mapping, Sequence

from app.events.declaration import Declaration
from app.store.typed_views.columns import ViewColumn

# Columns of `events` that every typed view shows, in this order.
_EVENT_COLUMNS = (
    "id",
    "source",
    "user_id",
    "group_id",
    "timestamp",
    "timestamp_raw",
    "received_at",
    "stored_at",
    "message_id",
    "properties",
    "context",
    "warnings",
    "extra",
    "bucket",
)
_TIMESTAMP_ISO = """\
regexp_replace(
        to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        '000Z$',
        'Z'
    )"""
_TIMESTAMP_ISO_COMMENT = (
    "timestamp as responses write it: ISO-8601 in UTC, milliseconds if exact, else"
    " microseconds"
)
RESERVED_COLUMNS = frozenset({*_EVENT_COLUMNS, "timestamp_iso"})


def view_statements(
    declaration: Declaration,
    columns: Sequence[ViewColumn],
    *,
    comments: Mapping[str, str],
) -> Iterator[str]:
    """Statements that create or extend the view of an event, with all comments.

    `comments` are those of the columns of `events`.
    """
    view = quote_name(declaration.name)
    selected = [
        *map(quote_name, _EVENT_COLUMNS),
        f"{_TIMESTAMP_ISO} AS timestamp_iso",
        *(f"{_expression(column)} AS {quote_name(column.name)}" for column in columns),
    ]
    yield (
        f"CREATE OR REPLACE VIEW {view} AS\nSELECT\n    "
        + ",\n    ".join(selected)
        + f"\nFROM events\nWHERE event = {quote_text(declaration.name)}"
    )
    summary = " ".join(declaration.description.split("\n\n", maxsplit=1)[0].split())
    yield f"COMMENT ON VIEW {view} IS {quote_text(summary)}"
    meanings = {name: comments[name] for name in _EVENT_COLUMNS}
    meanings["timestamp_iso"] = _TIMESTAMP_ISO_COMMENT
    for column in columns:
        meanings[column.name] = f"Property {column.names[0]}: {column.comment}"
    for name, comment in meanings.items():
        yield f"COMMENT ON COLUMN {view}.{quote_name(name)} IS {quote_text(comment)}"


def quote_name(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """An SQL string; right whatever `standard_conforming_strings` is."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _expression(column: ViewColumn) -> str:
    """The property as its type, or NULL where it is absent or has another type."""
    texts = _coalesce([f"properties ->> {quote_text(name)}" for name in column.names])
    if column.type == "text":
        return texts
    if column.type == "timestamptz":
        return f"rollcall_timestamp({texts})"
    values = _coalesce(
        [f"nullif(properties -> {quote_text(name)}, 'null')" for name in column.names]
    )
    if column.type == "jsonb":
        return values
    json_type = {"numeric": "number", "boolean": "boolean"}[column.type]
    return (
        f"CASE jsonb_typeof({values}) WHEN '{json_type}'"
        f" THEN CAST({values} AS {column.type}) END"
    )


def _coalesce(expressions: Sequence[str]) -> str:
    if len(expressions) == 1:
        return expressions[0]
    return f"coalesce({', '.join(expressions)})"

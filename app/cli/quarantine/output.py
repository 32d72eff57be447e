"""Rejected events as a person, or a program, reads them.

What a sender chose (event and message id) may hold anything, so it is shown without
control characters, which a terminal would obey.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.pipeline.issues import Issue
from app.pipeline.timestamp import format_timestamp
from app.store.quarantine.queries import Drops, RejectedListing
from app.store.read.row_json import row_json

_LEAST_WIDTH = 200
_WIDEST_CELL = 32
_REMARKS = ("errors", "warnings")
# A payload is compact ASCII JSON, perhaps cut short. Its tokens are laid out as they
# are, because reading it as JSON would change some of its numbers.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|\{\}|\[\]|[{}\[\],:]|[^"{}\[\],:]+')


def to_ndjson(listing: RejectedListing) -> Iterator[str]:
    """Yield a line for each event: all its columns except the payload."""
    for row in listing.rows:
        yield row_json(row._fields, row).decode()


def print_table(listing: RejectedListing) -> None:
    """Print a line for each event, and one for each source that lost some."""
    table = Table(box=None)
    for heading in ("id", "received"):
        table.add_column(heading, no_wrap=True)
    for heading in ("source", "event", "reason"):
        table.add_column(heading, no_wrap=True, max_width=_WIDEST_CELL)
    # The one column that gives way: its cells are cut short, never wrapped.
    table.add_column("first error")
    for row in listing.rows:
        [error, *_] = row.errors
        cells = (
            row.id,
            f"{row.received_at:%Y-%m-%d %H:%M:%SZ}",
            row.source,
            row.event,
            row.reason,
            _say_place(error["path"], error["message"]),
        )
        table.add_row(
            *(Text(_write(cell), no_wrap=True, overflow="ellipsis") for cell in cells)
        )
    console = Console(highlight=False)
    # A narrower terminal wraps the lines, so that no id is cut.
    console.width = max(console.width, _LEAST_WIDTH)
    console.print(table)
    for drops in listing.drops:
        console.print(describe_drops(drops), markup=False)


def describe_rejected(row: dict[str, Any]) -> str:
    """One event in full: a line for each column, its issues, and the payload."""
    lines = [
        f"{name:14}{_write(value)}".rstrip()
        for name, value in row.items()
        if name not in (*_REMARKS, "payload")
    ]
    for name in _REMARKS:
        issues = [Issue(**issue) for issue in row[name]]
        if issues:
            lines += [f"{name}:", *(f"  {print_issue(issue)}" for issue in issues)]
    return "\n".join([*lines, "payload:", indent_json(row["payload"])])


def indent_json(payload: str) -> str:
    """Indent JSON without reading it: each token stays as it is.

    Args:
        payload: compact JSON, perhaps cut short.
    """
    pieces: list[str] = []
    indent = "\n"
    for token in _TOKEN.findall(payload):
        match token:
            case "{" | "[":
                indent += "  "
                pieces += [token, indent]
            case "}" | "]":
                indent = indent[:-2]
                pieces += [indent, token]
            case ",":
                pieces += [token, indent]
            case ":":
                pieces.append(": ")
            case _:
                pieces.append(token)
    return "".join(pieces)


def print_issue(issue: Issue) -> str:
    """Code, place and sentence on one line."""
    return _write(f"{issue.code}: {_say_place(issue.path, issue.message)}")


def _write(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return format_timestamp(value)
        case _:
            text = str(value)
            return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _say_place(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message


def describe_drops(drops: Drops) -> str:
    """Return a sentence about the events of a source that were not kept."""
    return (
        f"{drops.source}: {drops.events} more were not kept, the quarantine was full"
        f" ({_write(drops.first)} to {_write(drops.last)})."
    )

"""Export of all data about one person, as NDJSON."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from app.pipeline.json_encode import encode_exactly
from app.pipeline.person import Person
from app.pipeline.timestamp import format_timestamp
from app.store.journal.traces import entries_of
from app.store.lifecycle.erasure import find_person

_Write = Callable[[bytes], None]


async def export_person(
    url: str, person: Person, *, journals: Path, write: _Write
) -> int:
    """Write each row that concerns the person as a JSON line.

    A line has `table` (`events`, `rejected_events`, `journal`), `own` (whether the row
    is about the person or only mentions the person) and `row`, the columns.

    Args:
        url: of the database; its role has the rights of `rollcall_eraser`.
        person: who.
        journals: directory of the journals of this machine.
        write: given one line with its line feed.

    Returns:
        Number of lines.

    Raises:
        DatabaseError: the database did not answer; the output is incomplete.
    """
    found = await find_person(url, person)
    count = 0
    for trace in (*found.own, *found.mentions):
        write(_line(trace.table, own=trace.is_own, row=trace.columns))
        count += 1
    for own, entry in entries_of(journals, person):
        write(_line("journal", own=own, row=entry))
        count += 1
    return count


def _line(table: str, *, own: bool, row: Mapping[str, Any]) -> bytes:
    plain = {name: _plain(value) for name, value in row.items()}
    document = encode_exactly({"table": table, "own": own, "row": plain})
    return document.encode() + b"\n"


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return format_timestamp(value)
        case UUID():
            return str(value)
        case _:
            return value

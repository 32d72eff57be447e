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
from app.store.lifecycle.audit import record_action
from app.store.lifecycle.erasure import find_rows, person_transaction

_Write = Callable[[bytes], None]


async def export_person(
    url: str, person: Person, *, journals: Path, actor: str, write: _Write
) -> int:
    """Write each row that concerns the person as a JSON line.

    A line has `table` (`events`, `rejected_events`, `journal`), `own` (whether the row
    is about the person or only mentions the person) and `row`, the columns.

    Args:
        url: of the database; its role has the rights of `rollcall_eraser`.
        person: who.
        journals: directory of the journals of this machine.
        actor: name in the audit log, which gets a row before the first line is written.
        write: given one line with its line feed.

    Returns:
        Number of lines.

    Raises:
        DatabaseError: the database did not answer; nothing was written.
    """
    async with person_transaction(url) as connection:
        found = await find_rows(connection, person)
        lines = [
            _line(trace.table, own=trace.is_own, row=trace.columns)
            for trace in (*found.own, *found.mentions)
        ]
        lines += [
            _line("journal", own=own, row=entry)
            for own, entry in entries_of(journals, person)
        ]
        await record_action(connection, "export.subject", actor=actor, rows=len(lines))
    for line in lines:
        write(line)
    return len(lines)


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

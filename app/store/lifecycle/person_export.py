"""Export of all data about one person, as NDJSON."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Any
from uuid import UUID

from app.errors import OperatorError
from app.pipeline.json_encode import encode_exactly
from app.pipeline.persons.person import Person
from app.pipeline.timestamp import format_timestamp
from app.store.journal.traces import entries_of
from app.store.lifecycle.audit import record_action
from app.store.lifecycle.erasure import person_transaction
from app.store.lifecycle.subject import find_traces

# There may be gigabytes of rows. More than this is kept in a temporary file.
MAX_MEMORY = 8 * 1024 * 1024


async def collect_person(
    url: str, person: Person, *, journals: Path, actor: str, lines: IO[bytes]
) -> int:
    """Write each row that concerns the person as a JSON line to a temporary file.

    A line has `table` (`events`, `rejected_events`, `journal`), `own` (whether the row
    is about the person or only mentions the person) and `row`, the columns. The
    database role has the rights of `rollcall_eraser`. The audit log gets a row in the
    same transaction.

    Returns:
        Number of lines; the file is at its beginning afterwards.

    Raises:
        DatabaseError: the database did not answer.
        OperatorError: the file cannot be written.
    """
    count = 0

    def keep(table: str, row: Mapping[str, Any], *, own: bool) -> None:
        nonlocal count
        try:
            lines.write(_line(table, own=own, row=row))
        except OSError as error:  # else it would pass for an error of the database
            raise OperatorError(
                f"The temporary file in {gettempdir()} cannot be written: "
                f"{error.strerror}. Free space there, or set TMPDIR to a larger place."
            ) from error
        count += 1

    async with person_transaction(url) as connection:
        async for trace in find_traces(connection, person):
            keep(trace.table, trace.columns, own=trace.is_own)
        for own, entry in entries_of(journals, person):
            keep("journal", entry, own=own)
        await record_action(connection, "export.subject", actor=actor, rows=count)
    lines.seek(0)
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

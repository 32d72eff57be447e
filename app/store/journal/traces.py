"""The traces of one person in the journals of this machine."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from app.pipeline.outcome import Entry
from app.pipeline.persons.person import Person
from app.pipeline.record import Record
from app.store.journal.codec import decode_entry
from app.store.journal.sqlite import (
    ASIDE,
    PARTS,
    connect_read_only,
    journal_files,
    read_after,
)

_PAUSE_S = 0.2
_PIECE_BYTES = 16 * 1024
# Of a SQLite page. A longer form is in several, with other bytes between them.
_OVERLAP_BYTES = 4 * 1024


class JournalTraces(NamedTuple):
    """Entries of journals that concern the person.

    Attributes:
        own: number of entries about the person.
        mentions: number of entries about others.
        files: journals that hold such an entry, or the deleted remains of one.
        damaged: damaged files, set aside, that hold a trace.
    """

    own: int
    mentions: int
    files: list[Path]
    damaged: list[Path]


def find_in_journals(directory: Path, person: Person) -> JournalTraces:
    """Read all journals, those of running processes included; changes nothing."""
    found: list[bool] = []
    files = []
    for path in journal_files(directory):
        concerning = [own for own, _ in _concerning(path, person)]
        found += concerning
        if concerning or any(_holds(Path(f"{path}{part}"), person) for part in PARTS):
            files.append(path)
    damaged = [
        path for path in sorted(directory.rglob(f"*{ASIDE}*")) if _holds(path, person)
    ]
    return JournalTraces(sum(found), len(found) - sum(found), files, damaged)


async def wait_until_stored(
    directory: Path,
    person: Person,
    *,
    within_s: float,
    drain: Callable[[], Awaitable[object]] | None = None,
) -> list[Path]:
    """Wait until the entries that concern the person have been stored.

    A running service stores the entries of its own journals and of ended processes;
    without one, `drain` stores those of journals without an owner.

    Returns:
        Journals that still hold traces.
    """
    deadline = time.monotonic() + within_s
    while True:
        began = time.monotonic()
        files = find_in_journals(directory, person).files
        if not files or time.monotonic() > deadline:
            return files
        if drain is not None:
            await drain()
        # Reading large journals must not keep the disk busy.
        await asyncio.sleep(max(_PAUSE_S, time.monotonic() - began))


def entries_of(
    directory: Path, person: Person
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Each entry that concerns the person, and whether it is the person's own.

    A record is given as sent, a rejected event by its payload.
    """
    for path in journal_files(directory):
        for own, entry in _concerning(path, person):
            event = entry.sent if isinstance(entry, Record) else entry.payload
            yield own, {"id": entry.id, "source": entry.source, "event": event}


def _concerning(path: Path, person: Person) -> Iterator[tuple[bool, Entry]]:
    """Each entry of a journal that concerns the person, and whether it is their own."""
    for encoded in filter(person.may_be_in, _read(path)):
        try:
            entry = decode_entry(encoded)
        except ValueError:
            continue
        if isinstance(entry, Record):
            own = person.is_user(entry.user_id) or person.owns(entry.sent)
        else:
            own = person.is_in(entry.payload)
        if own or person.is_in(encoded.decode("latin-1")):
            yield own, entry


def _read(path: Path) -> Iterator[bytes]:
    with suppress(sqlite3.Error), connect_read_only(path) as connection:
        for _, _, entry in read_after(connection, 0):
            yield entry


def _holds(path: Path, person: Person) -> bool:
    """Whether the bytes of a file hold a trace, such as in freed pages."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        end = b""
        while piece := file.read(_PIECE_BYTES):
            content = end + piece
            if person.may_be_in(content) and person.is_in(content.decode("latin-1")):
                return True
            end = piece[-_OVERLAP_BYTES:]
    return False

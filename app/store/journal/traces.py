"""The traces of one person in the journals of this machine, beside a service."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from app.pipeline.json_encode import encode_exactly
from app.pipeline.outcome import Entry
from app.pipeline.person import Person
from app.pipeline.record import Record
from app.store.journal.codec import decode_entry
from app.store.journal.lock import ASIDE, JournalLock
from app.store.journal.sqlite import SUFFIX, connect, read_after


class JournalTraces(NamedTuple):
    """Entries of journals that concern the person.

    Attributes:
        own: the person's events: id, and user id as it is stored.
        rejected: number of the person's rejected events.
        mentions: number of entries about others that mention the person.
        damaged: damaged files, set aside, that hold a trace.
    """

    own: dict[str, str]
    rejected: int
    mentions: int
    damaged: list[Path]


def find_in_journals(directory: Path, person: Person) -> JournalTraces:
    """Read all journals, those of running processes included; changes nothing."""
    own: dict[str, str] = {}
    rejected = mentions = 0
    for path in _journals(directory):
        for _, entry in _entries(path):
            if not _is_own(entry, person):
                mentions += _mentions(entry, person)
            elif isinstance(entry, Record):
                own[entry.id] = entry.user_id
            else:
                rejected += 1
    forms = [form.encode() for form in person.forms]
    damaged = [
        path
        for path in sorted(directory.rglob(f"*{ASIDE}*"))
        if any(form in path.read_bytes() for form in forms)
    ]
    return JournalTraces(own, rejected, mentions, damaged)


def entries_of(
    directory: Path, person: Person
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Each entry that concerns the person, and whether it is the person's own.

    A record is given as sent, a rejected event by its payload.
    """
    for path in _journals(directory):
        for _, entry in _entries(path):
            own = _is_own(entry, person)
            if own or _mentions(entry, person):
                event = entry.sent if isinstance(entry, Record) else entry.payload
                yield own, {"id": entry.id, "source": entry.source, "event": event}


def erase_from_free_journals(directory: Path, person: Person) -> int:
    """Delete the person's entries from the journals that no process owns.

    The freed pages are overwritten. A running service owns its journals; it drops the
    entries when it drains them, as their ids are marked as erased.

    Returns:
        Number of entries deleted.
    """
    deleted = 0
    for path in _journals(directory):
        own = [(seq,) for seq, entry in _entries(path) if _is_own(entry, person)]
        if not own:
            continue
        try:
            lock = JournalLock(path)
        except BlockingIOError:
            continue
        connection = connect(path)
        try:
            connection.execute("PRAGMA secure_delete = ON")
            connection.executemany("DELETE FROM entries WHERE seq = ?", own)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
            lock.give_up()
        deleted += len(own)
    return deleted


def _journals(directory: Path) -> list[Path]:
    return sorted(directory.rglob(f"*{SUFFIX}")) if directory.is_dir() else []


def _entries(path: Path) -> list[tuple[int, Entry]]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True)
    except sqlite3.Error:
        return []
    found = []
    try:
        for seq, _, encoded in read_after(connection, 0):
            try:
                found.append((seq, decode_entry(encoded)))
            except ValueError:
                continue
    except sqlite3.Error:
        return found
    finally:
        connection.close()
    return found


def _is_own(entry: Entry, person: Person) -> bool:
    if isinstance(entry, Record):
        return person.is_user(entry.user_id) or person.owns(entry.sent)
    return person.is_in(entry.payload)


def _mentions(entry: Entry, person: Person) -> bool:
    if isinstance(entry, Record):
        return person.is_in(encode_exactly(entry.sent))
    return False

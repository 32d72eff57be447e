"""The journal on its disk: durable, bounded, owned by one, and never lost."""

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.pipeline.outcome import Entry
from app.pipeline.record import Record
from app.store.journal.codec import encode_entry
from app.store.journal.inspection import find_journals
from app.store.journal.journal import Journal, prepare
from app.store.journal.sqlite import JournalStats, connect_file
from tests.support.postgres.small_disk import fill, small_disk
from tests.support.store.entries import record, records, rejection

GIB = 1024**3

# Owns a journal with one entry until it is killed.
OWNER = """
import asyncio, sys, time
from pathlib import Path
from app.store.journal.journal import Journal
from tests.support.store.entries import record

async def own():
    journal = Journal(Path(sys.argv[1]), max_bytes=1 << 30)
    assert await journal.append([[record(user_id="of-the-dead")]]) == [True]
    print("appended", flush=True)
    await asyncio.sleep(60)

asyncio.run(own())
"""


async def waiting_in(journal: Journal) -> list[Entry]:
    page = await journal.read(limit=1000)
    return page.entries if page else []


def databases(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.sqlite3"))


def modes(directory: Path) -> dict[str, int]:
    """The permissions of each file in a directory."""
    return {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()
    }


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries]


async def test_entries_come_back_in_order_until_they_are_deleted(
    journal: Journal, directory: Path
) -> None:
    first, second, third = records(3)
    assert await journal.append([[first, second], [third]]) == [True, True]

    page = await journal.read(limit=2)
    assert page is not None
    assert ids(page.entries) == ids([first, second])
    await journal.delete(page, page.seqs[:1])
    assert ids(await waiting_in(journal)) == ids([second, third])
    assert journal.held.entries == journal.waiting == 2

    page = await journal.read(limit=10)
    assert page is not None
    await journal.delete(page, page.seqs)
    assert await journal.read(limit=10) is None
    assert journal.held == JournalStats(0, 0, None)
    assert modes(directory) == {}


async def test_journal_files_are_private(journal: Journal, directory: Path) -> None:
    await journal.append([[record()]])
    assert set(modes(directory).values()) == {0o600}
    assert modes(directory.parent) == {"journal": 0o700}


def test_each_commit_waits_for_the_disk(tmp_path: Path) -> None:
    connection = connect_file(tmp_path / "journal.sqlite3")
    names = ("journal_mode", "synchronous", "fullfsync")
    settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    connection.close()
    assert settings == ["wal", 2, 1]


async def test_body_is_taken_whole_or_not_at_all(directory: Path) -> None:
    small, large = [record()], records(5)
    size = len(encode_entry(small[0]))
    journal = Journal(directory, max_bytes=size + 10)
    try:
        assert await journal.append([large, small, small]) == [False, True, False]
        assert not journal.can_accept
        assert ids(await waiting_in(journal)) == ids([small[0]])
        assert await journal.append([small]) == [False]
        page = await journal.read(limit=10)
        assert page is not None
        await journal.delete(page, page.seqs)
        assert await journal.append([small]) == [True]
    finally:
        await journal.close()


async def test_journal_is_adopted_once_its_owner_is_gone(
    journal: Journal, directory: Path
) -> None:
    other = Journal(directory, max_bytes=GIB)
    await other.append([[record(), rejection()]])
    await journal.append([records(1)])

    assert await journal.adopt() == 0
    await other.close()
    assert await journal.adopt() == 1
    assert await journal.adopt() == 0
    assert journal.held.entries == 3
    assert ids(await waiting_in(journal)) == ids([record(), rejection()])


@pytest.fixture
def owner(directory: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, directory], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "appended\n"
        yield process
        process.kill()


async def test_entries_of_a_killed_process_are_kept(
    journal: Journal, directory: Path, owner: subprocess.Popen[str]
) -> None:
    assert await journal.adopt() == 0
    assert [found.state for found in find_journals(directory)] == ["owned"]
    owner.send_signal(signal.SIGKILL)
    owner.wait(60)

    assert [found.state for found in find_journals(directory)] == ["free"]
    assert await journal.adopt() == 1
    [entry] = await waiting_in(journal)
    assert isinstance(entry, Record)
    assert entry.user_id == "of-the-dead"


async def test_damaged_entry_is_set_aside_and_the_others_are_not(
    journal: Journal, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Journal(directory, max_bytes=GIB)
    await other.append([records(3)])
    await other.close()
    [path] = databases(directory)
    connection = sqlite3.connect(path, isolation_level=None)
    [[entry]] = connection.execute("SELECT entry FROM entries WHERE seq = 2")
    # Still an entry, but not the one that was written.
    flipped = entry.replace(b"user-1", b"user-9")
    connection.execute("UPDATE entries SET entry = ? WHERE seq = 2", (flipped,))
    connection.close()

    await journal.adopt()
    page = await journal.read(limit=10)
    assert page is not None
    assert page.seqs == [1, 3]
    await journal.delete(page, page.seqs)

    assert await journal.read(limit=10) is None
    assert databases(directory) == []
    [found] = find_journals(directory)
    assert (found.state, found.held and found.held.entries) == ("damaged", 1)
    assert {line.message for line in caplog.records if line.levelname == "ERROR"} == {
        "an entry of the journal is damaged",
        "a journal was set aside",
    }


@pytest.mark.parametrize("at", [0, 100])
async def test_corrupt_file_is_set_aside_and_stops_nothing(
    journal: Journal, directory: Path, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    other = Journal(directory, max_bytes=GIB)
    await other.append([records(200)])
    await other.close()
    [path] = databases(directory)
    content = bytearray(path.read_bytes())
    content[at : at + 4096] = b"\xff" * 4096
    path.write_bytes(content)

    await journal.adopt()
    assert await journal.append([[record()]]) == [True]
    found: list[Entry] = await waiting_in(journal)

    assert ids(found) == ids([record()])
    aside = path.with_name(path.name + ".damaged")
    assert aside.read_bytes() == content
    assert "a journal was set aside" in {line.message for line in caplog.records}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "size=1m") as path:
        yield path


async def test_full_disk_refuses_and_heals_when_it_has_room(
    disk: Path,
) -> None:
    prepare(disk / "journal")
    journal = Journal(disk / "journal", max_bytes=GIB)
    try:
        assert await journal.append([records(3)]) == [True]
        filler = fill(disk)
        while (await journal.append([records(50)]))[0]:
            pass
        assert not journal.can_accept
        held = journal.held
        assert (held.entries - 3) % 50 == 0

        filler.unlink()
        assert await journal.append([records(50)]) == [True]
        assert journal.held.entries == held.entries + 50
    finally:
        await journal.close()


async def test_journal_on_a_full_disk_can_be_drained(
    disk: Path,
) -> None:
    prepare(disk / "journal")
    journal = Journal(disk / "journal", max_bytes=GIB)
    try:
        while (await journal.append([records(50)]))[0]:
            pass
        fill(disk)
        seen = 0
        while page := await journal.read(limit=20):
            seen += len(page.seqs)
            await journal.delete(page, page.seqs)
        assert seen % 50 == 0
        assert seen > 0
        assert modes(disk / "journal") == {}
    finally:
        await journal.close()

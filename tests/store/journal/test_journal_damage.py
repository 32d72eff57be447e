"""A journal that cannot be had, or read, costs no other its way to Postgres."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry
from app.store.journal.inspection import Drained, drain_free
from app.store.journal.journal import Journal, prepare
from app.store.journal.journal_file import JournalFile
from app.store.journal.sqlite import connect_file, measure
from app.store.quarantine.caps import Quarantine
from tests.support.limits import PATIENCE_S
from tests.support.store.entries import counts, record, records, rejection

GIB = 1024**3


def databases(directory: Path) -> set[Path]:
    return {*directory.glob("*.sqlite3")}


async def left_behind(directory: Path, *entries: Entry) -> Path:
    """The journal of a process that has ended."""
    before = databases(directory)
    dead = Journal(directory, max_bytes=GIB)
    await dead.append([entries])
    await dead.close()
    [path] = databases(directory) - before
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


async def seqs_in(journal: Journal) -> list[int]:
    page = await journal.read(limit=10)
    return page.seqs if page else []


async def test_unlockable_journal_does_not_block_others(
    journal: Journal, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [await left_behind(directory, *records(number)) for number in (1, 2)]
    first = min(paths)
    first.with_suffix(".lock").unlink()
    first.with_suffix(".lock").mkdir()

    assert await journal.adopt() == 1
    assert await journal.adopt() == 0
    assert journal.waiting == 1 + (paths[0] == first)
    assert [line.message for line in caplog.records] == ["a journal cannot be opened"]
    first.with_suffix(".lock").rmdir()
    assert await journal.adopt() == 1
    assert journal.waiting == 3


async def test_entry_turned_into_text_by_a_flipped_bit_is_kept(
    journal: Journal, directory: Path
) -> None:
    path = await left_behind(directory, *records(3))
    change(path, "UPDATE entries SET entry = CAST(entry AS TEXT) WHERE seq = 2")
    await journal.adopt()
    assert await seqs_in(journal) == [1, 2, 3]


@pytest.mark.parametrize("value", ["CAST(x'ff41' AS TEXT)", "7", "x''"])
async def test_damaged_entry_is_skipped(
    journal: Journal, directory: Path, value: str
) -> None:
    path = await left_behind(directory, *records(3))
    change(path, f"UPDATE entries SET entry = {value} WHERE seq = 2")
    await journal.adopt()
    assert await seqs_in(journal) == [1, 3]


async def test_unreadable_journal_does_not_block_others(
    journal: Journal, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = await left_behind(directory, record())
    await journal.adopt()
    change(path, "ALTER TABLE entries RENAME TO away")
    await journal.append([records(3)])

    page = await journal.read(limit=10)
    assert page is not None
    assert page.seqs == [1, 2, 3]
    assert caplog.records == []
    await journal.delete(page, page.seqs)

    assert await seqs_in(journal) == []
    assert [line.message for line in caplog.records] == ["the journal cannot be read"]
    change(path, "ALTER TABLE away RENAME TO entries")
    assert await seqs_in(journal) == [1]


async def test_size_of_a_journal_is_known_without_measuring(
    journal: Journal, directory: Path
) -> None:
    await journal.append([[*records(3), rejection()]])
    await journal.append([[record(plan="enterprise")]])
    [path] = databases(directory)
    for places in ([2], [1, 3, 4]):
        page = await journal.read(limit=10)
        assert page is not None
        await journal.delete(page, places)
        with closing(connect_file(path)) as connection:
            assert journal.held == measure(connection)


async def test_page_is_bounded_in_bytes(journal: Journal) -> None:
    large = record()._replace(properties="x" * 3 * 1024 * 1024)
    await journal.append([[large, large]])
    assert await seqs_in(journal) == [1]


def test_journal_that_has_just_been_removed_is_not_adopted(directory: Path) -> None:
    with pytest.raises(BlockingIOError):
        JournalFile.adopt(directory / "gone.sqlite3")
    assert [*directory.iterdir()] == []


async def test_removed_entry_is_not_counted_twice(
    journal: Journal, directory: Path
) -> None:
    await journal.append([records(3)])
    page = await journal.read(limit=10)
    assert page is not None
    [path] = databases(directory)
    change(path, "DELETE FROM entries WHERE seq = 1")
    await journal.delete(page, [1, 2])
    assert journal.waiting == 1


async def test_drain_of_a_copied_file_stores_that_file_alone(
    engine: AsyncEngine, directory: Path, tmp_path: Path
) -> None:
    await left_behind(directory, record("own"))
    elsewhere = tmp_path / "elsewhere"
    prepare(elsewhere)
    original = await left_behind(elsewhere, *records(3))
    copied = tmp_path / "copied.sqlite3"
    copied.write_bytes(original.read_bytes())

    drained = await drain_free(
        engine, tmp_path, timeout_s=PATIENCE_S, quarantine=Quarantine(), file=copied
    )

    assert drained == Drained(journals=1, confirmed=3, left=0)
    assert await counts(engine) == (3, 3, 0)
    assert not copied.exists()
    assert original.exists()


async def test_damaged_entry_is_not_reported_as_stored(
    engine: AsyncEngine, directory: Path
) -> None:
    path = await left_behind(directory, *records(3))
    change(path, "UPDATE entries SET checksum = 0 WHERE seq = 2")
    drained = await drain_free(
        engine, directory, timeout_s=PATIENCE_S, quarantine=Quarantine()
    )
    assert drained == Drained(journals=1, confirmed=2, left=1)
    assert await counts(engine) == (2, 2, 0)


def test_closed_file_is_neither_read_nor_written(directory: Path) -> None:
    file = JournalFile.create(directory)
    file.append([b"entry"], at=0.0)
    file.close()
    with pytest.raises(sqlite3.Error, match="closed"):
        file.read(limit=1, max_bytes=1)
    with pytest.raises(sqlite3.Error, match="closed"):
        file.append([b"entry"], at=0.0)
    assert file.held.entries == 1

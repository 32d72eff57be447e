"""Where `rollcall export` writes: files, pipes, a full disk, a reader that leaves."""

import asyncio
import gzip
import os
import subprocess
from pathlib import Path
from typing import IO

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.files.export import export
from app.cli.files.import_events import import_events
from app.errors import OperatorError
from tests.support.cli.files import ndjson, run, run_aside, write
from tests.support.pipeline.verdicts import SIGNED_UP
from tests.support.service.process import ROLLCALL, environment
from tests.support.store.entries import records, save


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


@pytest.mark.parametrize("name", ["e.csv.gz", "e.csv", "e.ndjson.gz", "e"])
async def test_file_format_follows_its_name(
    engine: AsyncEngine, database_url: str, tmp_path: Path, name: str
) -> None:
    await save(engine, *records(1))
    path = write(tmp_path / name, b"what was there before")

    result = await run_aside(export, "--output", path, url=database_url)

    content = path.read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    assert content.startswith(b"id,source" if ".csv" in name else b'{"id":"')
    assert result.stdout == ""
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["missing/x", "x" * 300])
async def test_unwritable_file_is_reported(
    engine: AsyncEngine, database_url: str, tmp_path: Path, name: str
) -> None:
    await save(engine, *records(1))

    result = await run_aside(export, "--output", tmp_path / name, url=database_url)

    assert isinstance(result.exception, OperatorError)
    assert "Cannot write" in result.exception.detail
    assert names_in(tmp_path) == []


async def test_pipe_is_written_to_and_stays_a_pipe(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await save(engine, *records(1))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = asyncio.create_task(asyncio.to_thread(pipe.read_bytes))

    await run_aside(export, "--output", pipe, url=database_url)

    assert (await reading).startswith(b'{"id":')
    assert pipe.is_fifo()


async def test_export_that_ends_early_leaves_the_file_as_it_was(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "e", b"before")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE events RENAME user_id TO other")

    result = await run_aside(export, "--output", path, url=database_url)

    assert isinstance(result.exception, OperatorError)
    assert path.read_bytes() == b"before"
    assert names_in(tmp_path) == [path.name]


@pytest.fixture
def filled_url(database_url: str, tmp_path: Path) -> str:
    """A database with more than fits into a pipe."""
    many = [SIGNED_UP | {"user_id": f"u{number}"} for number in range(900)]
    path = write(tmp_path / "e", ndjson(*many))
    run(import_events, path, "--source", "crm", url=database_url)
    return database_url


def exporting(
    url: str, stdout: int | IO[bytes], **more: str
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [ROLLCALL, "export"],
        env=environment(database_url=url) | more,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_may_close_the_pipe_early(filled_url: str, unbuffered: str) -> None:
    with exporting(filled_url, subprocess.PIPE, PYTHONUNBUFFERED=unbuffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"id":')
        process.stdout.close()
        said = process.stderr.read()

    assert said == b""
    assert process.returncode == 1


def test_full_disk_is_reported(filled_url: str) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        exporting(filled_url, full) as process,
    ):
        _, said = process.communicate()

    assert said == b"rollcall: Cannot write to stdout: No space left on device.\n"
    assert process.returncode == 1


async def test_interrupted_export_is_audited(
    engine: AsyncEngine, database_url: str
) -> None:
    await save(engine, *records(99))
    failed = await run_aside(export, "--output", "/dev/full", url=database_url)
    assert isinstance(failed.exception, OperatorError)
    async with engine.connect() as connection:
        actions = await connection.scalars(text("SELECT action FROM audit_log"))
        assert actions.all() == ["export.begin"]


async def test_interrupted_export_of_a_person_is_audited(
    engine: AsyncEngine, database_url: str
) -> None:
    await save(engine, *records(2))
    failed = await run_aside(
        export, "--subject", "user-0", "--output", "/dev/full", url=database_url
    )
    assert isinstance(failed.exception, OperatorError)
    query = text("SELECT actor, action, subject, details FROM audit_log")
    async with engine.connect() as connection:
        [(actor, action, subject, details)] = (await connection.execute(query)).all()
    assert actor.startswith("cli:")
    assert (action, subject, details["rows"]) == ("export.subject", None, 1)

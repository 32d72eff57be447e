from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import Result

from app.cli.files.import_events import import_events
from app.errors import EventNotFoundError
from app.store.tables import event_ids, events
from tests.support.cli.files import event, ndjson, run, run_aside, write
from tests.support.pipeline.verdicts import without
from tests.support.store.entries import counts, rows

BAD = without(event(9), "user_id")


def import_id(result: Result) -> str:
    """The id that an import has printed."""
    [line] = [text for text in result.stderr.splitlines() if "--undo" in text]
    return str(UUID(line.rsplit(" ", 1)[-1]))


async def test_undo_deletes_events_ids_and_rejected_events_of_one_import(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    first = write(tmp_path / "a", ndjson(event(1), event(2), BAD))
    second = write(tmp_path / "b", ndjson(*map(event, range(1, 6)), BAD | {"a": 1}))
    await run_aside(import_events, first, "--source", "crm", url=database_url)
    result = await run_aside(import_events, second, "--source", "crm", url=database_url)

    undone = await run_aside(
        import_events, "--undo", import_id(result), "--yes", url=database_url
    )

    assert undone.exit_code == 0
    assert "3 events and 1 rejected events deleted." in undone.stderr
    assert "answered `duplicate` are gone" in undone.stderr
    assert await counts(engine) == (2, 2, 1)
    ids = {row.id for row in await rows(engine, events)}
    assert {row.id for row in await rows(engine, event_ids)} == ids
    again = await run_aside(import_events, second, "--source", "crm", url=database_url)
    assert "3 stored\n" in again.stderr


async def test_undo_asks_before_it_deletes(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a", ndjson(event(1), BAD))
    result = await run_aside(import_events, path, "--source", "crm", url=database_url)

    undone = await run_aside(
        import_events, "--undo", import_id(result), url=database_url
    )

    assert "Delete 1 events and 1 rejected events?" in undone.stderr
    assert undone.exit_code == 1
    assert await counts(engine) == (1, 1, 1)


async def test_undo_of_several_batches_deletes_all(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a", ndjson(*map(event, range(9_000))))
    result = await run_aside(import_events, path, "--source", "crm", url=database_url)
    assert len({row.stored_at for row in await rows(engine, events)}) > 1

    await run_aside(
        import_events, "--undo", import_id(result), "--yes", url=database_url
    )

    assert await counts(engine) == (0, 0, 0)


async def test_undo_of_an_unknown_import_is_an_error(
    engine: AsyncEngine, database_url: str
) -> None:
    result = await run_aside(
        import_events, "--undo", str(uuid4()), "--yes", url=database_url
    )

    assert isinstance(result.exception, EventNotFoundError)
    assert await counts(engine) == (0, 0, 0)


@pytest.mark.parametrize("arguments", [["--undo", "5"], [], ["--source", "crm"]])
def test_missing_arguments_exit_with_2(arguments: list[str]) -> None:
    assert run(import_events, *arguments).exit_code == 2

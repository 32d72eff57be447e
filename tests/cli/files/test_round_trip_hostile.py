"""Hostile events survive an export and an import, in both formats."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.files.export import export
from app.cli.files.import_events import import_events
from app.store.tables import events
from tests.support.cli.files import run_aside, write
from tests.support.events.hostile import hostile_lines
from tests.support.store.entries import rows

COUNT = 10_000
OF_THE_IMPORT = {"received_at", "stored_at", "import_id"}


async def stored(engine: AsyncEngine) -> dict[str, list[str]]:
    """Every row by its id, without the columns that each import sets."""
    return {
        str(row.id): [
            repr(sorted(value, key=repr) if name == "warnings" else value)
            for name, value in zip(events.c.keys(), row, strict=True)
            if name not in OF_THE_IMPORT
        ]
        for row in await rows(engine, events)
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [("all.ndjson.gz", []), ("all.csv", []), ("raw.csv", ["--raw-cells"])],
)
async def test_export_and_import_give_equal_rows_ids_and_warnings(
    engine: AsyncEngine,
    database_url: str,
    tmp_path: Path,
    name: str,
    options: list[str],
) -> None:
    lines = "\n".join(hostile_lines(COUNT if not options else COUNT // 10))
    path = write(tmp_path / "hostile", lines.encode())
    await run_aside(import_events, path, "--source", "crm", url=database_url)
    before = await stored(engine)
    copy = tmp_path / name
    await run_aside(export, "--output", copy, *options, url=database_url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("TRUNCATE events, event_ids, rejected_events")

    result = await run_aside(
        import_events, copy, "--source", "crm", *options, url=database_url
    )

    after = await stored(engine)
    assert result.exit_code == 0, result.stderr
    assert len(before) > len(lines.splitlines()) * 0.5
    assert after.keys() == before.keys()
    differing = [
        (old, new)
        for id_, row in before.items()
        for old, new in zip(row, after[id_], strict=True)
        if old != new
    ]
    assert differing == []

"""F9 and F21: the disk is full, and the clock jumps."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Limits, NewRow
from tests.support.faults import actions
from tests.support.faults.postgres import Postgres
from tests.support.faults.stage import Stage
from tests.support.postgres.small_disk import fill, server_disk

FAKETIME = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
_MOVE = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT inhrelid::regclass::text FROM pg_inherits
        WHERE inhparent = 'events'::regclass
    LOOP EXECUTE format('ALTER TABLE %s SET TABLESPACE {space}', name); END LOOP;
END $$
"""


@pytest.fixture
def disk(postgres: Postgres) -> Iterator[Path]:
    """A disk of 4 MiB that the server may write to."""
    with server_disk(postgres.site.data_dir, "size=4m") as path:
        yield path


async def test_f9_full_disk(
    disk: Path, stage: Stage, new_row: NewRow, *, at_length: bool
) -> None:
    row = new_row("F9", "data volume full")
    space = disk.name
    await stage.postgres.execute(f"CREATE TABLESPACE {space} LOCATION '{disk}'")
    await stage.postgres.script(_MOVE.format(space=space), url=stage.url)
    stage.start()
    async with stage.trial(row, rate=50) as trial:
        filler = fill(disk)
        await trial.load.until(lambda: trial.count(503) > 0, within_s=60)
        await actions.lasting(10 if at_length else 1)
        filler.unlink()
        row.seconds("back", await trial.recovered(), at_most=2)
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.seconds("every answer within", trial.slowest, at_most=3)
    row.settle()


@pytest.mark.skipif(not FAKETIME, reason="needs libfaketime: apt install faketime")
async def test_f21_the_clock_jumps(
    stage: Stage, new_row: NewRow, limits: Limits, tmp_path: Path
) -> None:
    row = new_row("F21", "the clock jumps an hour, and two days")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    stage.start(
        environ={
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
        limits=limits,
    )
    async with stage.trial(row) as trial:
        for offset in ("+1h", "+2d", "-1h", "+0"):
            await asyncio.to_thread(clock.write_text, f"{offset}\n")
            await trial.load.until_confirmed(150)
    found = await stage.postgres.execute(
        "SELECT max(received_at) - min(received_at) > '1 day' FROM events",
        url=stage.url,
    )
    row.holds("the service saw the jumps", met=found)
    row.at_most("answers but 200", len(trial.load.answers) - trial.count(200), 0)
    row.seconds("every answer within", trial.slowest, at_most=3)
    row.settle()

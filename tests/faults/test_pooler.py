"""B1: PgBouncer is killed under two instances of the service."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.faults.conftest import NewRow
from tests.support.faults import actions
from tests.support.faults.instances import under_shared_load
from tests.support.faults.stage import Stage
from tests.support.postgres.pgbouncer import pgbouncer

AWAY_S = 5.0
# Notes the setting with which each event is committed.
OBSERVE = """
CREATE TABLE seen (setting text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $see$ BEGIN
    INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW;
END $see$;
CREATE TRIGGER see BEFORE INSERT ON event_ids FOR EACH ROW EXECUTE FUNCTION see();
"""


@pytest.mark.at_length
@pytest.mark.timeout(150)
@pytest.mark.parametrize("journal", [True], indirect=True, ids=["journal"])
async def test_killed_pooler_loses_nothing(
    stage: Stage, new_row: NewRow, tmp_path: Path
) -> None:
    name = make_url(stage.url).database
    await stage.postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await stage.postgres.script(OBSERVE, url=stage.url)
    async with pgbouncer(stage.url, servers=2) as pooler:
        instances = [
            await asyncio.to_thread(
                stage.serve,
                database_url=pooler.url,
                pooler="transaction",
                journal="on",
                data_dir=str(tmp_path / data_dir),
            )
            for data_dir in ("a", "b")
        ]
        row = new_row("B1", f"PgBouncer killed for {AWAY_S:g} s, two instances")
        async with under_shared_load(instances, stage.key) as load:
            await load.until_confirmed(200)
            await pooler.kill()
            await actions.lasting(AWAY_S)
            await pooler.restart()
            back_s = await load.until_stored()
            await load.until_confirmed(200)
        await load.settle(row, stage.url, back_s=back_s)
    found = await stage.postgres.execute(
        "SELECT string_agg(DISTINCT setting, ' ') FROM seen", url=stage.url
    )
    row.holds("synchronous_commit of each commit", met=found == "on", measured=found)
    row.settle()

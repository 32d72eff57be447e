"""R1: retention deletes an old week under load, killed and run again."""

import asyncio
import os
import signal

import pytest

from app.store.engine import create_engine
from tests.faults.conftest import NewRow
from tests.support.eventually import eventually
from tests.support.faults import actions
from tests.support.faults.stage import Stage
from tests.support.limits import DEFAULT
from tests.support.service.process import ROLLCALL, environment
from tests.support.store.weeks import fill_week

KILLS = 5
WEEKS_AGO = (6, 5)
SLOWEST_S = 0.3
UNMATCHED = """
SELECT count(*) FROM events FULL JOIN event_ids USING (bucket, id, stored_at)
WHERE events.user_id IS NULL OR event_ids.content_hash IS NULL
"""


async def await_indexes(stage: Stage) -> None:
    """Wait until the service, which has just started, has indexed the old weeks."""
    count = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%email_idx'"

    async def are_indexed() -> bool:
        found: int = await stage.postgres.execute(count, url=stage.url)
        return found >= len(WEEKS_AGO)

    await eventually(are_indexed)


async def run_retention(stage: Stage, *, kill_after_s: float | None = None) -> int:
    """Run `rollcall retention --days 21`; returns its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(ROLLCALL, "retention", "--days", "21"),
        env=environment(database_url=stage.url, **DEFAULT),
        stderr=asyncio.subprocess.DEVNULL,
    )
    if kill_after_s is not None:
        await actions.lasting(kill_after_s)
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
    return await process.wait()


@pytest.mark.at_length
@pytest.mark.timeout(300)
async def test_retention_disturbs_no_sender_and_survives_kills(
    stage: Stage, new_row: NewRow
) -> None:
    engine = create_engine(stage.url, command_timeout_s=120)
    for weeks_ago in WEEKS_AGO:
        await fill_week(engine, weeks_ago, events=100_000)
    await engine.dispose()
    stage.start()
    await await_indexes(stage)
    row = new_row("R1", f"retention of 200,000 events, killed {KILLS} times")
    # The first answers wait for the start of the service, which is not the subject.
    async with stage.trial(row, rate=300, warm=1_000) as trial:
        started = len(trial.load.answers)
        for kill in range(KILLS):
            await run_retention(stage, kill_after_s=0.8 + 0.3 * kill)
            await stage.postgres.execute(
                "UPDATE leases SET expires_at = now()", url=stage.url
            )
        status = await run_retention(stage)
    row.at_most("exit status of the last run", status, 0)
    row.at_most("failed requests", trial.failed, 0)
    slowest = max(answer.seconds for answer in trial.load.answers[started:])
    row.seconds("slowest response", slowest, at_most=SLOWEST_S)
    left = await stage.postgres.execute(
        "SELECT count(*) FROM events WHERE stored_at < now() - interval '21 days'",
        url=stage.url,
    )
    row.at_most("expired events left", left, 0)
    unmatched = await stage.postgres.execute(UNMATCHED, url=stage.url)
    row.at_most("rows without an id, and ids without a row", unmatched, 0)
    row.settle()

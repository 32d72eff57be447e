import asyncio
import os
import pty
import subprocess
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseError
from app.pipeline.record import RequestContext
from tests.support.cli.rejected import Run, fill, lines, runner_on
from tests.support.eventually import eventually
from tests.support.pipeline.verdicts import signed_up_with, stored
from tests.support.service.process import ROLLCALL, environment
from tests.support.store.rejections import RECEIVED_AT, commit, count, read, rejection

RECEIPT = RequestContext("billing", RECEIVED_AT, "request-1")
WAITING = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
NOBODY_WRITES = """
SELECT count(*) = 0 FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND datname = current_database()
"""


async def holds(engine: AsyncEngine, condition: str) -> bool:
    return bool((await read(engine, condition))[0][0])


@pytest.fixture
def run(database_url: str) -> Run:
    return runner_on(database_url)


async def test_replay_reports_its_results(run: Run, engine: AsyncEngine) -> None:
    await fill(engine)

    result = await run("replay")

    assert lines(result) == [
        "2 stored, 0 already stored, 2 still rejected.",
        "        2 missing_field",
        "Left alone: 2 id_conflict, 1 truncated.",
    ]
    assert result.stderr == ""
    assert await count(engine, "events") == 2
    assert await count(engine) == 5


async def test_replay_names_each_that_fails_if_asked(
    run: Run, engine: AsyncEngine
) -> None:
    await fill(engine)
    ids = await read(engine, "SELECT id FROM rejected_events WHERE source = 'crm'")

    result = await run("replay", "--verbose", "--source", "crm")

    told = lines(result)
    assert told[-2:] == [
        "0 stored, 0 already stored, 2 still rejected.",
        "        2 missing_field",
    ]
    for (id_,) in ids:
        assert f"{id_} missing_field: user_id: This is required." in told
        assert f"{id_} missing_field: timestamp: This is required." in told
    assert await count(engine, "events") == 0


async def test_replay_of_nothing_is_fine(run: Run) -> None:
    told = lines(await run("replay", "--since", "1h"))

    assert told == ["0 stored, 0 already stored, 0 still rejected."]


async def test_replay_goes_by_the_settings(
    run: Run, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(engine, rejection(signed_up_with(timestamp="20-11-23T22:28:55Z")))
    monkeypatch.setenv("ROLLCALL_TWO_DIGIT_YEAR", "dmy")

    assert lines(await run("replay"))[0].startswith("1 stored")
    assert await read(engine, "SELECT extract(year FROM timestamp) FROM events") == [
        (2023,)
    ]


async def test_killed_replay_is_finished_by_the_next(
    run: Run, engine: AsyncEngine, database_url: str
) -> None:
    rows = [rejection(signed_up_with(message_id=f"m{n}")) for n in range(600)]
    await commit(engine, *rows)
    last = max(rows, key=lambda row: row.id)
    event = stored(last.payload.encode(), request_context=RECEIPT)
    async with engine.connect() as blocker:
        # The other process may be slow to start.
        await blocker.execute(text("SET idle_in_transaction_session_timeout = 0"))
        # Another is storing the last event: the second batch waits for that.
        claim = text("INSERT INTO event_ids VALUES (CAST(:id AS uuid), now(), '')")
        await blocker.execute(claim, {"id": event.id})
        process = await asyncio.create_subprocess_exec(
            ROLLCALL, "rejected", "replay", env=environment(database_url=database_url)
        )
        await eventually(partial(holds, engine, WAITING))
        process.kill()
        await process.wait()
        await blocker.rollback()
    # Only now does its backend find that nobody listens, and give up its locks.
    await eventually(partial(holds, engine, NOBODY_WRITES))

    assert await count(engine, "events") == 500
    assert lines(await run("replay"))[0].startswith("100 stored")
    assert await count(engine, "events") == await count(engine, "event_ids") == 600
    assert await count(engine) == 0


async def test_terminal_shows_the_progress(
    engine: AsyncEngine, database_url: str
) -> None:
    await fill(engine)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(ROLLCALL, "rejected", "replay"),
        env=environment(database_url=database_url) | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    output, _ = await process.communicate()
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)

    assert "Replaying" in shown
    assert "4/4" in shown
    assert output.startswith(b"2 stored")


async def test_interrupted_replay_reports_moved_events(
    run: Run, engine: AsyncEngine
) -> None:
    await fill(engine)
    await read(
        engine, "CREATE RULE r AS ON DELETE TO rejected_events DO ALSO SELECT 1/0"
    )

    result = await run("replay")

    assert isinstance(result.exception, DatabaseError)
    assert result.stdout.startswith("0 stored")

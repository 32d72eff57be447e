"""Replays in batches, beside each other, and ended in between."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import RequestContext
from app.store.engine import create_engine
from app.store.quarantine.replay import Replayed, replay
from app.store.read.filters import RejectedFilter
from tests.support.pipeline.verdicts import (
    POLICY,
    signed_up_with,
    stored,
)
from tests.support.store.rejections import RECEIVED_AT, commit, read
from tests.support.store.replays import passing, places, run, total

pytestmark = pytest.mark.on_citus

RECEIPT = RequestContext("billing", RECEIVED_AT, "request-2")


@pytest.fixture
async def other_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


AUDITED = """
SELECT actor, details ->> 'stored' FROM audit_log
WHERE action = 'rejected.replay' ORDER BY id
"""


async def test_thousand_unknown_events_move_once(engine: AsyncEngine) -> None:
    await commit(engine, *(passing(n) for n in range(1000)))

    batches = await run(engine)

    assert [batch.events for batch in batches] == [100] * 10
    assert total(batches) == (1000, 0, {})
    assert await places(engine) == (1000, 1000, 0)
    assert await run(engine) == []


async def test_moved_event_equals_one_accepted_at_receipt(engine: AsyncEngine) -> None:
    await commit(engine, passing(7))
    await run(engine)

    [row] = await read(
        engine,
        "SELECT id, source, event, message_id, received_at, timestamp_raw, properties,"
        " now() - stored_at < interval '1 minute' FROM events",
    )
    event = signed_up_with(message_id="m7")
    assert (str(row[0]), *row[1:]) == (
        stored(event, request_context=RECEIPT).id,
        "billing",
        "signed_up",
        "m7",
        RECEIVED_AT,
        event["timestamp"],
        event["properties"],
        True,
    )


async def test_two_replays_at_once_move_each_event_once(
    engine: AsyncEngine, other_engine: AsyncEngine
) -> None:
    await commit(engine, *(passing(n) for n in range(1000)))

    one, two = await asyncio.gather(run(engine, limit=20), run(other_engine, limit=20))

    assert total([*one, *two]) == (1000, 0, {})
    assert await places(engine) == (1000, 1000, 0)


async def test_rows_locked_by_another_session_are_skipped(engine: AsyncEngine) -> None:
    await commit(engine, *(passing(n) for n in range(10)))
    async with engine.begin() as connection:
        lock = "SELECT 1 FROM rejected_events ORDER BY id LIMIT 3 FOR UPDATE"
        await connection.execute(text(lock))

        assert total(await run(engine)) == (7, 0, {})
    assert total(await run(engine)) == (3, 0, {})
    assert await places(engine) == (10, 10, 0)


@pytest.mark.on_citus(wanted=False)  # the setting is the coordinator's
async def test_batch_may_validate_for_longer_than_a_timeout(
    engine: AsyncEngine,
) -> None:
    timeout = "current_setting('idle_in_transaction_session_timeout')"
    await read(
        engine, f"ALTER TABLE events ADD CONSTRAINT c CHECK ({timeout} = '5min')"
    )
    await commit(engine, passing())

    assert total(await run(engine)) == (1, 0, {})


async def test_replay_ended_between_batches_is_finished_by_the_next(
    engine: AsyncEngine,
) -> None:
    await commit(engine, *(passing(n) for n in range(250)))

    def end(_: Replayed) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await replay(
            engine,
            RejectedFilter(),
            policy=POLICY,
            actor="cli:ann",
            report=end,
            limit=100,
        )
    assert await places(engine) == (100, 100, 150)
    assert await read(engine, AUDITED) == [("cli:ann", "100")]
    assert total(await run(engine)) == (150, 0, {})
    assert await places(engine) == (250, 250, 0)
    await run(engine)
    rows = await read(engine, AUDITED)
    assert rows == [("cli:ann", "100"), ("cli:ann", "100"), ("cli:ann", "50")]


async def test_replay_ended_within_a_batch_moves_none_of_it(
    engine: AsyncEngine,
) -> None:
    await commit(engine, *(passing(n) for n in range(10)))
    # Deleting is the last that a batch does.
    rule = "CREATE RULE r AS ON DELETE TO rejected_events DO ALSO SELECT 1/0"
    await read(engine, rule)

    with pytest.raises(DBAPIError, match="division by zero"):
        await run(engine)
    assert await places(engine) == (0, 0, 10)

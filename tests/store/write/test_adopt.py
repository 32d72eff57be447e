"""Adoption of events that were stored undeclared, during an erasure."""

import asyncio
import json
from functools import partial

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.tables import events
from app.store.write.adopt import Adopted, adopt
from app.store.write.insert import STORED
from tests.support.eventually import eventually
from tests.support.pipeline.verdicts import CATALOG
from tests.support.store.entries import record, rows, save

UNDECLARED = [{"code": "undeclared_event"}]
REDACTED = [*UNDECLARED, {"code": "note", "value": "[erased]"}]
WAITING = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


async def save_undeclared(engine: AsyncEngine) -> None:
    assert await save(engine, record("a"), record("b")) == [STORED, STORED]
    async with engine.begin() as connection:
        await connection.execute(
            events.update().values(warnings=json.dumps(UNDECLARED))
        )


async def redact(eraser: AsyncConnection, message_id: str) -> None:
    those = events.update().where(events.c.message_id == message_id)
    await eraser.execute(those.values(warnings=json.dumps(REDACTED)))


async def waits_for_a_lock(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return bool(await connection.scalar(WAITING))


async def test_adoption_leaves_an_event_that_an_erasure_changes(
    engine: AsyncEngine,
) -> None:
    await save_undeclared(engine)
    reports: list[Adopted] = []
    async with engine.begin() as eraser:
        await redact(eraser, "a")
        adoption = asyncio.create_task(
            adopt(engine, "signed_up", catalog=CATALOG, report=reports.append)
        )
        await eventually(partial(waits_for_a_lock, engine))
    await adoption
    assert sum(report.adopted for report in reports) == 1
    left = {row.message_id: row.warnings for row in await rows(engine, events)}
    assert left == {"a": REDACTED, "b": []}


async def test_adoption_that_meets_a_deadlock_begins_its_batch_again(
    engine: AsyncEngine,
) -> None:
    await save_undeclared(engine)
    order = select(events.c.message_id).order_by(events.c.stored_at, events.c.id)
    async with engine.connect() as connection:
        first, second = await connection.scalars(order)
    reports: list[Adopted] = []
    async with engine.begin() as eraser:
        # The eraser waits for ever, so that Postgres ends the adoption.
        await eraser.execute(text("SET LOCAL deadlock_timeout = '1h'"))
        await redact(eraser, second)
        adoption = asyncio.create_task(
            adopt(engine, "signed_up", catalog=CATALOG, report=reports.append)
        )
        await eventually(partial(waits_for_a_lock, engine))
        await redact(eraser, first)
    await adoption
    # It may have read the events again before the erasure ended, or after it.
    adopted = sum(report.adopted for report in reports)
    left = [row.warnings for row in await rows(engine, events)]
    assert left == [REDACTED if adopted == 0 else REDACTED[1:]] * 2

"""Adoption of events that were stored undeclared, during an erasure."""

import asyncio
import json

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.tables import events
from app.store.write.adopt import adopt
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


async def test_adoption_leaves_an_event_that_an_erasure_changes(
    engine: AsyncEngine,
) -> None:
    assert await save(engine, record("a"), record("b")) == [STORED, STORED]
    async with engine.begin() as connection:
        await connection.execute(
            events.update().values(warnings=json.dumps(UNDECLARED))
        )

    async def is_waiting() -> bool:
        async with engine.connect() as connection:
            return bool(await connection.scalar(WAITING))

    async with engine.begin() as eraser:
        of_a = events.c.message_id == "a"
        redacted = json.dumps(REDACTED)
        await eraser.execute(events.update().where(of_a).values(warnings=redacted))
        adoption = asyncio.create_task(
            adopt(engine, "signed_up", catalog=CATALOG, report=lambda _: None)
        )
        await eventually(is_waiting)
    await adoption
    left = {row.message_id: row.warnings for row in await rows(engine, events)}
    assert left == {"a": REDACTED, "b": []}

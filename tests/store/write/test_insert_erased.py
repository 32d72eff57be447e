"""Erased ids are never stored again."""

import pytest
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import EventStatus, Outcome
from app.store.tables import event_ids, events
from app.store.write.insert import DUPLICATE, REFUSED_AS_ERASED, STORED
from tests.support.store.entries import counts, record, rejection, save

pytestmark = pytest.mark.on_citus


async def test_erased_id_is_rejected_and_kept_nowhere(engine: AsyncEngine) -> None:
    erased, other, new = (record(message_id) for message_id in "abc")
    changed = record("a", plan="b")
    await save(engine, erased, other)
    async with engine.begin() as connection:
        await connection.execute(events.delete().where(events.c.id == erased.id))
        await connection.execute(
            event_ids.update()
            .where(event_ids.c.id == erased.id)
            .values(erased_at=func.now(), content_hash=b"")
        )

    outcomes = await save(engine, erased, rejection(), changed, other, new)

    assert outcomes == [
        REFUSED_AS_ERASED,
        Outcome(EventStatus.REJECTED, errors=rejection().errors),
        REFUSED_AS_ERASED,
        DUPLICATE,
        STORED,
    ]
    assert not REFUSED_AS_ERASED.kept
    assert await counts(engine) == (2, 3, 1)

"""Replays of rejected events, and where their events are afterwards."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import Policy
from app.pipeline.rejection import Rejection
from app.store.quarantine.replay import Replayed, replay
from app.store.read.filters import RejectedFilter
from tests.support.pipeline.verdicts import (
    POLICY,
    signed_up_with,
)
from tests.support.store.rejections import count, rejection


def passing(number: int = 1, **options: Any) -> Rejection:
    """A row whose event is valid by today's rules."""
    return rejection(signed_up_with(message_id=f"m{number}"), **options)


async def run(
    engine: AsyncEngine,
    selection: RejectedFilter | None = None,
    *,
    policy: Policy = POLICY,
    limit: int = 100,
) -> list[Replayed]:
    batches: list[Replayed] = []
    await replay(
        engine,
        selection or RejectedFilter(),
        policy=policy,
        actor="cli:ann",
        report=batches.append,
        limit=limit,
    )
    return batches


def total(batches: Sequence[Replayed]) -> tuple[int, int, dict[str, int]]:
    """Events stored, events stored before, and failures by reason."""
    codes = [f.errors[0].code for batch in batches for f in batch.failures]
    return (
        sum(batch.stored for batch in batches),
        sum(batch.duplicates for batch in batches),
        {code: codes.count(code) for code in codes},
    )


async def places(engine: AsyncEngine) -> tuple[int, int, int]:
    """Events, identities, and events in quarantine."""
    return (
        await count(engine, "events"),
        await count(engine, "event_ids"),
        await count(engine),
    )

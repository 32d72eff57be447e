"""Rejected events, as the tests of the quarantine put them there and look at them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.issues import Issue
from app.pipeline.outcome import Outcome
from app.pipeline.record import RequestContext
from app.pipeline.rejection import Rejection, reject
from app.store.quarantine.caps import Quarantine
from app.store.transaction import driver_in_transaction
from tests.support.store.entries import save

RECEIVED_AT = datetime(2026, 11, 2, 10, 20, 30, 400500, tzinfo=UTC)
UNKNOWN = Issue("unknown_event", "event", "No such event.")


def rejection(
    sent: Any,
    *,
    source: str = "billing",
    received_at: datetime = RECEIVED_AT,
    error: Issue = UNKNOWN,
    message_id: str | None = None,
) -> Rejection:
    """The row that keeps an event, whatever is true of it."""
    return reject(
        sent,
        request_context=RequestContext(source, received_at, "request-1"),
        errors=[error],
        message_id=message_id,
    )


async def keep(
    engine: AsyncEngine, rows: Sequence[Rejection], quarantine: Quarantine
) -> list[bool]:
    """Commit rows; returns whether each is in quarantine."""
    async with engine.begin() as connection:
        return await quarantine.keep(await driver_in_transaction(connection), rows)


async def commit(engine: AsyncEngine, *rows: Rejection) -> list[Outcome]:
    """Quarantine rows as the writer does."""
    return await save(engine, *rows)


async def read(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.begin() as connection:
        result = await connection.execute(text(query))
        return [tuple(row) for row in result] if result.returns_rows else []


async def count(engine: AsyncEngine, table: str = "rejected_events") -> int:
    [(rows,)] = await read(engine, f"SELECT count(*) FROM {table}")
    return int(rows)

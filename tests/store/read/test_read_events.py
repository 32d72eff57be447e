from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import Record
from app.store.read.events import EventRow, KeysetPosition, Page, read_page
from app.store.read.filters import EventFilter, RejectedFilter
from tests.support.pipeline.verdicts import (
    RECEIPT,
    added_user_with,
    signed_up_with,
    stored,
    with_properties,
)
from tests.support.store.entries import record, records, rejection, save

pytestmark = pytest.mark.on_citus

HUGE = 2**70
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


async def page(
    engine: AsyncEngine,
    wanted: EventFilter | None = None,
    *,
    before: KeysetPosition | None = None,
    limit: int = 100,
) -> Page:
    async with engine.begin() as connection:
        return await read_page(
            connection, wanted or EventFilter(), before=before, limit=limit
        )


async def users(engine: AsyncEngine, wanted: EventFilter) -> set[str]:
    return {row.user_id for row in (await page(engine, wanted)).rows}


async def pages(engine: AsyncEngine, *, limit: int) -> AsyncIterator[list[EventRow]]:
    before: KeysetPosition | None = None
    while True:
        found = await page(engine, before=before, limit=limit)
        yield found.rows
        if found.last is None:
            return
        before = found.last


async def test_row_is_read_as_it_is_stored(engine: AsyncEngine) -> None:
    event = signed_up_with(
        message_id="m1",
        context={"group_id": "g1", "n": HUGE},
        timestamp="2023-11-02T00:30:08.2765432Z",
    )
    entry = stored(with_properties(event, big=HUGE, odd="\u0000\ud800 <script>"))
    await save(engine, entry)

    [row] = (await page(engine)).rows

    assert (str(row.id), row.source) == (entry.id, "billing-backend")
    assert (row.event, row.user_id, row.group_id) == (
        "signed_up",
        event["user_id"],
        "g1",
    )
    assert row.timestamp == datetime(2023, 11, 2, 0, 30, 8, 276543, tzinfo=UTC)
    assert row.timestamp_raw == "2023-11-02T00:30:08.2765432Z"
    assert (row.received_at, row.message_id) == (RECEIPT.received_at, "m1")
    assert abs(row.stored_at - NOW) < HOUR
    assert f'"big": {HUGE}' in row.properties
    assert '"odd": "\ufffd\ufffd <script>"' in row.properties
    assert f'"n": {HUGE}' in row.context
    assert '"precision_cut"' in row.warnings


@pytest.fixture
async def known(engine: AsyncEngine) -> dict[str, Record]:
    """One event of each user."""
    entries = {
        "ann": stored(signed_up_with(user_id="ann", message_id="m1")),
        "bob": stored(added_user_with(user_id="bob", context={"group_id": "g1"})),
        "eve": stored(
            signed_up_with(user_id="eve", timestamp="2020-01-01T00:00:00Z"),
            request_context=RECEIPT._replace(source="crm"),
        ),
    }
    await save(engine, *entries.values())
    return entries


async def test_filters_select_rows_that_match_all_parts(
    engine: AsyncEngine, known: dict[str, Record]
) -> None:
    everyone = {"ann", "bob", "eve"}
    since = datetime(2021, 1, 1, tzinfo=UTC)
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, everyone),
        ({"event": "signed_up"}, {"ann", "eve"}),
        ({"source": "billing-backend"}, {"ann", "bob"}),
        ({"source": "crm"}, {"eve"}),
        ({"user_id": "bob"}, {"bob"}),
        ({"group_id": "g1"}, {"bob"}),
        ({"message_id": "m1"}, {"ann"}),
        ({"id": UUID(known["eve"].id)}, {"eve"}),
        ({"id": UUID(int=0)}, set()),
        ({"since": since}, {"ann", "bob"}),
        ({"until": since}, {"eve"}),
        ({"since": known["ann"].timestamp, "event": "signed_up"}, {"ann"}),
        ({"until": known["ann"].timestamp, "event": "signed_up"}, {"eve"}),
        ({"stored_since": NOW - HOUR}, everyone),
        ({"stored_since": NOW + HOUR}, set()),
        ({"stored_until": NOW + HOUR}, everyone),
        ({"stored_until": NOW - HOUR}, set()),
        ({"event": "signed_up", "user_id": "bob"}, set()),
    ]
    for parts, wanted in cases:
        assert await users(engine, EventFilter(**parts)) == wanted, parts


@pytest.mark.on_citus(wanted=False)  # it moves rows between partitions
async def test_pages_are_the_newest_first_and_hold_each_row_once(
    engine: AsyncEngine,
) -> None:
    # Some commits of several, whose rows share their stored_at, in two weeks.
    everything = records(23)
    for start in range(0, 23, 5):
        await save(engine, *everything[start : start + 5])
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE events SET stored_at = stored_at + interval '1 week'"
                " WHERE user_id < 'user-15'"
            )
        )

    for limit in (1, 2, 7, 22, 23, 24):
        found = [rows async for rows in pages(engine, limit=limit)]
        rows = list(chain.from_iterable(found))
        assert {len(rows) for rows in found[:-1]} <= {limit}
        assert found[-1]
        places = [KeysetPosition(row.stored_at, row.id) for row in rows]
        assert places == sorted(places, reverse=True)
        assert len({*places}) == len(rows) == 23


async def test_rows_that_arrive_meanwhile_shift_no_page(engine: AsyncEngine) -> None:
    await save(engine, *records(10))
    seen: list[str] = []
    turn = 0
    async for rows in pages(engine, limit=3):
        seen += [row.user_id for row in rows]
        await save(engine, record(user_id=f"late-{turn}"))
        turn += 1

    assert sorted(seen) == sorted(f"user-{number}" for number in range(10))


async def test_page_of_large_rows_ends_early_and_loses_none(
    engine: AsyncEngine,
) -> None:
    large = [record(user_id=f"u{n}", p="x" * 120_000) for n in range(90)]
    await save(engine, *large)

    found = [rows async for rows in pages(engine, limit=1000)]

    assert len(found) == 3
    for rows in found:
        assert sum(len(str(row)) for row in rows) < 5 * 1024 * 1024
    assert len({row.id for row in chain.from_iterable(found)}) == 90


async def test_rejected_events_are_read_in_pages(engine: AsyncEngine) -> None:
    entries = [rejection(f"u{number}", p="\u2028<b>") for number in range(5)]
    await save(engine, *entries)

    async def read(
        before: KeysetPosition | None = None, **parts: Any
    ) -> tuple[list[Any], KeysetPosition | None]:
        async with engine.begin() as connection:
            wanted = RejectedFilter(**parts)
            found = await read_page(connection, wanted, before=before, limit=3)
            return found.rows, found.last

    first, last = await read()
    rest, end = await read(last)
    assert (len(first), len(rest), end) == (3, 2, None)
    assert {str(row.id) for row in first + rest} == {entry.id for entry in entries}
    row = first[0]
    assert row.payload == next(e.payload for e in entries if e.id == str(row.id))
    assert '"code": "invalid_timestamp"' in row.errors

    for parts, count in [
        ({"reason": "invalid_timestamp"}, 3),
        ({"reason": "too_deep"}, 0),
        ({"event": "signed_up", "source": "billing-backend"}, 3),
        ({"source": "crm"}, 0),
        ({"message_id": "m"}, 0),
        ({"id": row.id}, 1),
        ({"since": RECEIPT.received_at}, 3),
        ({"until": RECEIPT.received_at}, 0),
    ]:
        rows, _ = await read(**parts)
        assert len(rows) == count, parts

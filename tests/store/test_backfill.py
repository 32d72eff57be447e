import asyncio
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError
from app.store.backfill import backfill
from app.store.insert import DUPLICATE, STORED, Entry, Outcome
from app.store.tables import sources
from tests.store.entries import counts, records, rejection, rows

Reports = list[tuple[Sequence[Outcome], Any]]


async def run(
    engine: AsyncEngine, *batches: list[Entry], source: str = "billing-backend"
) -> Reports:
    reports: Reports = []
    numbered = iter([(batch, number) for number, batch in enumerate(batches)])
    await backfill(
        engine,
        source=source,
        batches=numbered,
        report=lambda outcomes, note: reports.append((outcomes, note)),
    )
    return reports


async def test_batches_are_stored_in_order_and_reported(engine: AsyncEngine) -> None:
    first, second, third = records(3)
    bad = rejection()

    reports = await run(engine, [first, bad], [], [second, first], [third])

    assert reports == [
        ([STORED, Outcome("rejected", errors=bad.errors)], 0),
        ([], 1),
        ([STORED, DUPLICATE], 2),
        ([STORED], 3),
    ]
    assert await counts(engine) == (3, 3, 1)


async def test_the_source_is_registered_once(engine: AsyncEngine) -> None:
    await run(engine, source="crm")
    await run(engine, source="crm")

    assert [row.name for row in await rows(engine, sources)] == ["crm"]


@pytest.mark.parametrize(
    "name", ["", "Billing", "a b", "-a", "a" * 64, "a\n", "\udcff"]
)
async def test_a_name_that_is_none_is_refused(engine: AsyncEngine, name: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 63 characters"):
        await run(engine, list(records(1)), source=name)

    assert await counts(engine) == (0, 0, 0)


async def test_a_batch_is_made_while_the_one_before_it_commits(
    engine: AsyncEngine,
) -> None:
    made = threading.Event()

    def batches() -> Iterator[tuple[list[Entry], None]]:
        first, second = records(2)
        yield [first], None
        made.set()
        yield [second], None

    work = partial(
        backfill,
        engine,
        source="crm",
        batches=batches(),
        report=lambda *_: None,
    )
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE event_ids"))
        task = asyncio.create_task(work())
        assert await asyncio.to_thread(made.wait, 10)
        assert not task.done()
    await task

    assert await counts(engine) == (2, 2, 0)


async def test_what_cannot_be_made_ends_it(engine: AsyncEngine) -> None:
    def batches() -> Iterator[tuple[list[Entry], None]]:
        yield list(records(1)), None
        raise ConfigurationError("The second is missing.")

    with pytest.raises(ConfigurationError, match="The second"):
        await backfill(engine, source="crm", batches=batches(), report=lambda *_: None)

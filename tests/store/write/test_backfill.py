import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError, OperatorError
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Record
from app.store.quarantine.caps import Quarantine
from app.store.tables import sources
from app.store.write.backfill import Import, backfill
from app.store.write.insert import DUPLICATE, STORED
from tests.support.service.process import until
from tests.support.store.entries import counts, records, rejection, rows, store

Batch = tuple[list[Entry], Path | None]
Report = tuple[Sequence[Outcome], int]


def process(batch: Batch) -> tuple[list[Entry], int]:
    """Pass entries on; leave a trace of each, and say in which process."""
    entries, traces = batch
    for entry in entries:
        if traces is not None:
            (traces / entry.id).touch()
    return entries, os.getpid()


async def run(  # noqa: PLR0913 - those of a backfill
    url: str,
    batches: Iterable[list[Entry]],
    *,
    source: str = "billing-backend",
    traces: Path | None = None,
    quarantine: Quarantine | None = None,
    report: Callable[[Sequence[Outcome], int], None] = lambda *_: None,
) -> list[Report]:
    reports: list[Report] = []

    def note(outcomes: Sequence[Outcome], pid: int) -> None:
        reports.append((outcomes, pid))
        report(outcomes, pid)

    await backfill(
        url,
        Import(uuid4(), source, "cli:ann", quarantine or Quarantine()),
        batches=((batch, traces) for batch in batches),
        process=process,
        report=note,
    )
    return reports


async def test_batches_are_stored_in_order_and_reported(
    engine: AsyncEngine, database_url: str
) -> None:
    first, second, third = records(3)
    bad = rejection()

    reports = await run(
        database_url, [[first, bad], [], [second, first], [third], [third]]
    )

    assert [outcomes for outcomes, _ in reports] == [
        [STORED, Outcome(EventStatus.REJECTED, errors=bad.errors)],
        [],
        [STORED, DUPLICATE],
        [STORED],
        [DUPLICATE],
    ]
    assert await counts(engine) == (3, 3, 1)


async def test_batches_are_processed_in_one_other_process_that_then_ends(
    engine: AsyncEngine, database_url: str
) -> None:
    reports = await run(database_url, ([record] for record in records(5)))

    [worker] = {pid for _, pid in reports}
    assert worker != os.getpid()
    assert await counts(engine) == (5, 5, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


async def test_rejections_keep_to_the_caps_of_the_quarantine(
    engine: AsyncEngine, database_url: str
) -> None:
    await run(
        database_url,
        ([rejection(user_id)] for user_id in "abcdef"),
        quarantine=Quarantine(max_events=1, trust_s=0),
    )

    assert await counts(engine) == (0, 0, 1)


async def test_single_batch_needs_no_other_process(database_url: str) -> None:
    [(_, pid)] = await run(database_url, [list(records(2))])

    assert pid == os.getpid()


async def test_empty_import_is_not_an_error(
    engine: AsyncEngine, database_url: str
) -> None:
    assert await run(database_url, []) == []
    assert [row.name for row in await rows(engine, sources)] == ["billing-backend"]


@asynccontextmanager
async def claimed(engine: AsyncEngine, record: Record) -> AsyncIterator[None]:
    """Nobody else can store the event until the end, when it is free again."""
    async with engine.connect() as connection:
        await store(connection, record)
        yield
        await connection.rollback()


async def test_next_batches_are_processed_while_one_is_committed(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    first, second, third, fourth = records(4)
    batches: list[list[Entry]] = [[first], [second], [third], [fourth]]

    async with claimed(engine, first):
        work = run(database_url, batches, traces=tmp_path)
        task = asyncio.create_task(asyncio.to_thread(asyncio.run, work))
        await asyncio.to_thread(
            until, (tmp_path / third.id).exists, within_s=60, what="processed"
        )
        assert await counts(engine) == (0, 0, 0)
        # Bounded: nothing is read before there is room for it.
        assert not (tmp_path / fourth.id).exists()
    await task

    assert await counts(engine) == (4, 4, 0)


async def test_worker_that_is_killed_is_an_error_and_the_next_run_completes(
    engine: AsyncEngine, database_url: str
) -> None:
    batches: list[list[Entry]] = [[record] for record in records(8)]

    def kill(_: object, pid: int) -> None:
        if pid != os.getpid():
            with suppress(ProcessLookupError):  # reported once more after its end
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(OperatorError, match="run the same command again"):
        await run(database_url, batches, report=kill)
    stored = (await counts(engine))[0]
    await run(database_url, batches)

    assert stored < 8
    assert await counts(engine) == (8, 8, 0)


async def test_source_is_registered_once(
    engine: AsyncEngine, database_url: str
) -> None:
    await run(database_url, [], source="crm")
    await run(database_url, [], source="crm")

    assert [row.name for row in await rows(engine, sources)] == ["crm"]


@pytest.mark.parametrize(
    "name", ["", "Billing", "a b", "-a", "a" * 64, "a\n", "\udcff"]
)
async def test_invalid_name_of_a_source_is_refused(
    engine: AsyncEngine, database_url: str, name: str
) -> None:
    with pytest.raises(ConfigurationError, match="1 to 63 characters"):
        await run(database_url, [list(records(1))], source=name)

    assert await counts(engine) == (0, 0, 0)


async def test_error_of_the_reader_ends_the_backfill(
    engine: AsyncEngine, database_url: str
) -> None:
    def batches() -> Iterator[list[Entry]]:
        for record in records(3):
            yield [record]
        raise ConfigurationError("The fourth is missing.")

    with pytest.raises(ConfigurationError, match="The fourth"):
        await run(database_url, batches())

    assert (await counts(engine))[0] <= 3

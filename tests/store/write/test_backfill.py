import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError, OperatorError
from app.pipeline.record import Record
from app.store.quarantine.caps import Quarantine
from app.store.tables.events import events, sources
from app.store.write.backfill import backfill
from app.store.write.insert import DUPLICATE, STORED, Entry, Outcome, store_records
from tests.support.entries import counts, records, rejection, rows
from tests.support.service import until

IMPORT_ID = UUID(int=7)
Batch = tuple[list[Entry], Path | None]
Report = tuple[Sequence[Outcome], int]


def process_event(batch: Batch) -> tuple[list[Entry], int]:
    """Hand on what is judged already; leave a trace, and tell in which process."""
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
    quarantining: Callable[[], Quarantine] = Quarantine,
    report: Callable[[Sequence[Outcome], int], None] = lambda *_: None,
) -> list[Report]:
    reports: list[Report] = []

    def note(outcomes: Sequence[Outcome], pid: int) -> None:
        reports.append((outcomes, pid))
        report(outcomes, pid)

    await backfill(
        url,
        source=source,
        batches=((batch, traces) for batch in batches),
        process_event=process_event,
        quarantining=quarantining,
        report=note,
        import_id=IMPORT_ID,
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
        [STORED, Outcome("rejected", errors=bad.errors)],
        [],
        [STORED, DUPLICATE],
        [STORED],
        [DUPLICATE],
    ]
    assert await counts(engine) == (3, 3, 1)


class Turns:
    """Batches, and who stored them: empty ones, until the helper has had a turn."""

    def __init__(self, *batches: Sequence[Entry]) -> None:
        self.batches = batches
        self.pids: list[int] = []

    def __iter__(self) -> Iterator[list[Entry]]:
        while set(self.pids) <= {os.getpid()}:
            yield []
        self.pids.clear()
        yield from map(list, self.batches)

    def report(self, _: object, pid: int) -> None:
        self.pids.append(pid)


async def test_two_processes_take_turns(engine: AsyncEngine, database_url: str) -> None:
    turns = Turns(*([record] for record in records(5)))

    await run(database_url, turns, report=turns.report)

    # Of the empty ones this process has had one in hand.
    _, helper, *rest = turns.pids
    own = os.getpid()
    assert rest == [own, helper, own, helper]
    assert helper != own
    assert await counts(engine) == (5, 5, 0)
    assert {row.import_id for row in await rows(engine, events)} == {IMPORT_ID}
    with pytest.raises(ProcessLookupError):
        os.kill(helper, 0)


async def test_both_processes_keep_to_the_caps_of_the_quarantine(
    engine: AsyncEngine, database_url: str
) -> None:
    bad = [rejection(user_id) for user_id in "abcdef"]
    turns = Turns(*([each] for each in bad))

    await run(
        database_url,
        turns,
        quarantining=partial(Quarantine, max_events=1, trust_s=0),
        report=turns.report,
    )

    assert await counts(engine) == (0, 0, 1)


async def test_one_batch_needs_no_helper(database_url: str) -> None:
    [(_, pid)] = await run(database_url, [list(records(2))])

    assert pid == os.getpid()


async def test_no_batch_is_no_error(engine: AsyncEngine, database_url: str) -> None:
    assert await run(database_url, []) == []
    assert [row.name for row in await rows(engine, sources)] == ["billing-backend"]


@asynccontextmanager
async def claimed(engine: AsyncEngine, record: Record) -> AsyncIterator[None]:
    """Nobody else can store the event until the end, when it is free again."""
    async with engine.connect() as connection:
        await store_records(connection, [record])
        yield
        await connection.rollback()


async def test_each_process_judges_while_the_other_commits(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    first, second, third = records(3)
    turns = Turns([first], [second], [third])
    traces = {id_: tmp_path / id_ for id_ in (first.id, second.id, third.id)}

    async with AsyncExitStack() as stack:
        async with claimed(engine, first):
            await stack.enter_async_context(claimed(engine, second))
            work = run(database_url, turns, report=turns.report, traces=tmp_path)
            # In a thread, because its event loop waits for the helper at times.
            task = asyncio.create_task(asyncio.to_thread(asyncio.run, work))
            # While the helper is at its commit, this process judges.
            await asyncio.to_thread(
                until, traces[second.id].exists, within_s=20, what="judged"
            )
            assert await counts(engine) == (0, 0, 0)
            assert not traces[third.id].exists()
        # While this process is at its commit, the helper judges.
        await asyncio.to_thread(
            until, traces[third.id].exists, within_s=20, what="judged"
        )
        assert await counts(engine) == (1, 1, 0)
    await task

    assert await counts(engine) == (3, 3, 0)


async def test_a_helper_that_is_killed_is_told_and_the_next_run_completes(
    engine: AsyncEngine, database_url: str
) -> None:
    batches: list[list[Entry]] = [[record] for record in records(8)]
    turns = Turns(*batches)

    def kill(_: object, pid: int) -> None:
        turns.report(_, pid)
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(OperatorError, match="run the same command again"):
        await run(database_url, turns, report=kill)
    stored = (await counts(engine))[0]
    await run(database_url, batches)

    assert stored < 8
    assert await counts(engine) == (8, 8, 0)


async def test_the_source_is_registered_once(
    engine: AsyncEngine, database_url: str
) -> None:
    await run(database_url, [], source="crm")
    await run(database_url, [], source="crm")

    assert [row.name for row in await rows(engine, sources)] == ["crm"]


@pytest.mark.parametrize(
    "name", ["", "Billing", "a b", "-a", "a" * 64, "a\n", "\udcff"]
)
async def test_a_name_that_is_none_is_refused(
    engine: AsyncEngine, database_url: str, name: str
) -> None:
    with pytest.raises(ConfigurationError, match="1 to 63 characters"):
        await run(database_url, [list(records(1))], source=name)

    assert await counts(engine) == (0, 0, 0)


async def test_what_cannot_be_read_ends_it(
    engine: AsyncEngine, database_url: str
) -> None:
    def batches() -> Iterator[list[Entry]]:
        for record in records(3):
            yield [record]
        raise ConfigurationError("The fourth is missing.")

    with pytest.raises(ConfigurationError, match="The fourth"):
        await run(database_url, batches())

    assert 1 <= (await counts(engine))[0] <= 3

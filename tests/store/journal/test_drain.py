"""Draining the journal: every entry once, and past entries that cannot be stored."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.errors import SchemaError
from app.pipeline.outcome import Entry, Outcome
from app.request_errors import UnavailableError
from app.store.journal.circuit_breaker import CircuitBreaker
from app.store.journal.drain import Drain
from app.store.journal.journal import Journal
from app.store.quarantine.caps import Quarantine
from app.store.tables import events, rejected_events
from app.store.write.committer import Committer
from tests.support.eventually import eventually
from tests.support.store.entries import counts, record, records, rejection, rows, save
from tests.support.store.sabotage import mend, raising, sabotage

GIB = 1024**3


class Check:
    """Whether events can be stored, as a test wants it."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> None:
        if self.error is not None:
            raise self.error


class Forgetful(Committer):
    """Commits, and dies before it can say so."""

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        await super().commit(entries)
        raise asyncio.CancelledError


class Defective(Committer):
    """Cannot cope with the events of one user."""

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        if any(entry == record(user_id="user-1") for entry in entries):
            raise LookupError("a defect")
        return await super().commit(entries)


class Halting(Committer):
    """Confirms the first entries that it is given, and is then out of time."""

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        return [*await super().commit(entries[:1]), *[None] * (len(entries) - 1)]


class Silent(Committer):
    """Confirms nothing."""

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        return [None] * len(entries)


@pytest.fixture
def circuit() -> CircuitBreaker:
    circuit = CircuitBreaker()
    circuit.open()
    return circuit


@pytest.fixture
def check() -> Check:
    return Check()


Draining = Callable[..., Drain]


@pytest.fixture
async def draining(
    journal: Journal, engine: AsyncEngine, circuit: CircuitBreaker, check: Check
) -> AsyncIterator[Draining]:
    committers: list[Committer] = []

    def make(kind: type[Committer] = Committer, *, timeout_s: float = 5.0) -> Drain:
        committer = kind(engine, timeout_s=timeout_s, quarantine=Quarantine())
        committers.append(committer)
        drain = Drain(journal, committer=committer, check=check)
        drain.circuit = circuit
        return drain

    yield make
    for committer in committers:
        await committer.release()


async def store_all(drain: Drain) -> None:
    while await drain.store_page():
        pass


async def test_draining_makes_the_rows_that_a_commit_would_have_made(
    draining: Draining, journal: Journal, engine: AsyncEngine, circuit: CircuitBreaker
) -> None:
    entry, refused = record(), rejection()
    await journal.append([[entry, *records(3)[2:], refused]])
    await store_all(draining())

    received = {row.received_at for row in await rows(engine, events)}
    assert received == {entry.received_at}
    [row] = await rows(engine, rejected_events)
    assert (str(row.id), row.received_at) == (refused.id, refused.received_at)
    assert await counts(engine) == (2, 2, 1)
    assert journal.held.entries == 0
    assert not circuit.is_open


async def test_event_stored_meanwhile_gets_no_second_row(
    draining: Draining, journal: Journal, engine: AsyncEngine
) -> None:
    other = record("m-1", email="other@example.com")
    await save(engine, *records(2), record("m-1"))
    await journal.append([[*records(3), records(3)[2], other]])
    await store_all(draining())

    assert await counts(engine) == (4, 4, 1)
    assert [row.reason for row in await rows(engine, rejected_events)] == [
        "id_conflict"
    ]


async def test_process_that_ends_before_removing_entries_stores_no_duplicates(
    draining: Draining, journal: Journal, engine: AsyncEngine
) -> None:
    await journal.append([[*records(3), rejection()]])
    with pytest.raises(asyncio.CancelledError):
        await draining(Forgetful).store_page()
    assert await counts(engine) == (3, 3, 1)
    assert journal.waiting == 4

    await store_all(draining())
    assert await counts(engine) == (3, 3, 1)
    assert journal.waiting == 0


async def test_only_confirmed_entries_leave_the_journal(
    draining: Draining, journal: Journal, engine: AsyncEngine
) -> None:
    await journal.append([records(3)])
    assert await draining(Halting).store_page()

    assert await counts(engine) == (1, 1, 0)
    page = await journal.read(limit=10)
    assert page is not None
    assert page.entries == records(3)[1:]


async def test_entry_that_fails_during_an_outage_is_not_skipped(
    draining: Draining, journal: Journal, circuit: CircuitBreaker, check: Check
) -> None:
    await journal.append([[record()]])
    circuit.close()
    check.error = UnavailableError("away")
    drain = draining(Silent)
    assert not await drain.store_page()
    assert await journal.read(limit=10) is not None

    check.error = None
    assert not await drain.store_page()
    assert await journal.read(limit=10) is None


async def test_circuit_stays_open_until_an_entry_is_confirmed(
    draining: Draining, journal: Journal, circuit: CircuitBreaker
) -> None:
    await journal.append([[record()]])
    drain = draining(Silent)
    for _ in range(4):
        assert not await drain.store_page()
        assert circuit.is_open


async def test_outage_leaves_the_journal_unchanged(
    draining: Draining, journal: Journal, circuit: CircuitBreaker, check: Check
) -> None:
    await journal.append([records(3)])
    drain = draining()
    for error in (UnavailableError("away"), SchemaError("old")):
        check.error = error
        assert not await drain.store_page()
        assert drain.is_schema_too_old == isinstance(error, SchemaError)
        assert journal.waiting == 3
        assert circuit.is_open

    check.error = None
    assert await drain.store_page()
    assert not circuit.is_open
    assert not drain.is_schema_too_old


async def test_empty_journal_closes_the_circuit_on_any_response(
    draining: Draining, circuit: CircuitBreaker
) -> None:
    await draining().store_page()
    assert not circuit.is_open


async def test_event_that_postgres_refuses_is_quarantined_alone(
    draining: Draining, journal: Journal, engine: AsyncEngine
) -> None:
    await sabotage(engine, raising("22000"), when="NEW.user_id = 'user-1'")
    await journal.append([records(20)])
    await store_all(draining())

    assert await counts(engine) == (19, 19, 1)
    assert journal.waiting == 0


async def test_failing_event_does_not_block_others(
    draining: Draining, journal: Journal, engine: AsyncEngine, circuit: CircuitBreaker
) -> None:
    await sabotage(engine, raising("P0001"), when="NEW.user_id = 'user-1'")
    await journal.append([records(10)])
    drain = draining(timeout_s=0.3)

    async def has_stored_the_others() -> bool:
        await drain.store_page()
        return journal.waiting == 1

    await eventually(has_stored_the_others)
    assert not circuit.is_open
    await mend(engine)
    await eventually(lambda: _empties(drain, journal))
    assert await counts(engine) == (10, 10, 0)


async def _empties(drain: Drain, journal: Journal) -> bool:
    await drain.store_page()
    return journal.waiting == 0


async def test_defect_costs_the_event_that_meets_it_and_no_other(
    draining: Draining, journal: Journal, engine: AsyncEngine, directory: Path
) -> None:
    await journal.append([records(10)])
    drain = draining(Defective)
    await eventually(lambda: _empties(drain, journal))

    assert await counts(engine) == (9, 9, 0)
    [aside] = directory.glob("*.damaged")  # noqa: ASYNC240 - of a test's own
    assert aside.stat().st_size > 0


async def test_drain_runs_by_itself_and_adopts_journals_of_dead_processes(
    draining: Draining, journal: Journal, engine: AsyncEngine, directory: Path
) -> None:
    dead = Journal(directory, max_bytes=GIB)
    await dead.append([records(2)])
    await dead.close()
    await journal.append([[record(user_id="user-of-ours")]])
    drain = draining()
    drain.start()

    async def are_stored() -> bool:
        return await counts(engine) == (3, 3, 0) and journal.waiting == 0

    await eventually(are_stored)
    await drain.stop(within_s=60)


async def test_stopping_drain_stores_entries_in_time_and_leaves_the_rest(
    draining: Draining, journal: Journal, engine: AsyncEngine
) -> None:
    await journal.append([records(300)])
    drain = draining()
    await drain.stop(within_s=60)
    assert await counts(engine) == (300, 300, 0)

    await journal.append([[record(user_id="late")]])
    await drain.stop(within_s=0)
    assert journal.waiting == 1

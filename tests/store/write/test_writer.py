"""Group commit, held in step by a committer that commits when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.pipeline.outcome import Entry, Outcome
from app.request_errors import UnavailableError
from app.store.tables import events
from app.store.write.committer import Committer
from app.store.write.insert import DUPLICATE, STORED
from app.store.write.writer import MAX_BATCH, MIN_TAKEN, Writer
from tests.support.limits import PATIENCE_S
from tests.support.postgres.patient import patient_engine
from tests.support.store.entries import counts, record
from tests.support.store.submitting import submit

ONE = record()


class HeldCommitter(Committer):
    """Has no database: a test sees each batch begin, and says how it ends."""

    def __init__(self) -> None:
        self._begun: asyncio.Queue[list[Entry]] = asyncio.Queue()
        self._ends: asyncio.Queue[list[Outcome | None] | Exception] = asyncio.Queue()

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        self._begun.put_nowait(entries)
        end = await self._ends.get()
        if isinstance(end, Exception):
            raise end
        return end

    async def begin(self) -> list[Entry]:
        """Wait until a commit is under way; returns its entries."""
        return await self._begun.get()

    def end(self, end: list[Outcome | None] | Exception) -> None:
        """Let it end."""
        self._ends.put_nowait(end)

    @override
    async def release(self) -> None:
        """Has no connection."""

    async def commit_one(self) -> list[Entry]:
        """Let one commit begin, and end well."""
        entries = await self.begin()
        self.end([STORED] * len(entries))
        return entries


class Senders:
    """Submit bodies, and note each one that is let go."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.released: list[str] = []

    def send(self, name: str, *entries: Entry) -> asyncio.Future[list[Outcome]]:
        return submit(
            self.writer, [*entries], release=lambda: self.released.append(name)
        )


@pytest.fixture
def committer() -> HeldCommitter:
    return HeldCommitter()


@pytest.fixture
async def writer(committer: HeldCommitter) -> AsyncIterator[Writer]:
    writer = Writer(committer)
    writer.start()
    yield writer
    async with asyncio.timeout(PATIENCE_S):
        await writer.stop()


@pytest.fixture
def senders(writer: Writer) -> Senders:
    return Senders(writer)


def body(name: str, size: int = 1) -> list[Entry]:
    """Entries that differ by their ids, and are never stored."""
    return [ONE._replace(id=f"{name}-{number}") for number in range(size)]


async def occupy(committer: HeldCommitter, senders: Senders) -> None:
    """Have a commit under way, of a body named a."""
    _ = senders.send("a", *body("a"))
    await committer.begin()


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries]


async def test_no_request_ends_before_the_commit(
    committer: HeldCommitter, senders: Senders
) -> None:
    done = senders.send("a", *body("a", 2))

    assert ids(await committer.begin()) == ["a-0", "a-1"]
    assert not done.done()
    assert senders.released == []

    committer.end([STORED, DUPLICATE])
    assert await done == [STORED, DUPLICATE]
    assert senders.released == ["a"]


async def test_bodies_that_arrive_during_a_commit_form_the_next_batch_in_order(
    committer: HeldCommitter, senders: Senders
) -> None:
    first = senders.send("a", *body("a"))
    await committer.begin()
    others = [senders.send(name, *body(name, 2)) for name in "bcd"]
    committer.end([STORED])

    assert await first == [STORED]
    assert ids(await committer.begin()) == ["b-0", "b-1", "c-0", "c-1", "d-0", "d-1"]
    committer.end([STORED, STORED, DUPLICATE, STORED, DUPLICATE, DUPLICATE])
    assert await asyncio.gather(*others) == [
        [STORED, STORED],
        [DUPLICATE, STORED],
        [DUPLICATE, DUPLICATE],
    ]
    assert senders.released == ["a", "b", "c", "d"]


async def test_single_body_is_committed_without_waiting(
    committer: HeldCommitter, senders: Senders
) -> None:
    for name in "abc":
        done = senders.send(name, *body(name))
        assert ids(await committer.commit_one()) == [f"{name}-0"]
        assert await done == [STORED]


async def test_batch_ends_with_the_body_that_reaches_its_limit(
    committer: HeldCommitter, senders: Senders
) -> None:
    await occupy(committer, senders)
    sizes = {"b": MAX_BATCH - 1, "c": 5 * MAX_BATCH, "d": MAX_BATCH, "e": 1, "f": 1}
    waiting = [senders.send(name, *body(name, size)) for name, size in sizes.items()]
    committer.end([STORED])

    batches = [await committer.commit_one() for _ in range(3)]

    assert [sorted({id_[0] for id_ in ids(batch)}) for batch in batches] == [
        ["b", "c"],
        ["d"],
        ["e", "f"],
    ]
    assert [len(done) for done in await asyncio.gather(*waiting)] == [*sizes.values()]


async def test_commit_takes_half_of_many_bodies_in_circulation(
    committer: HeldCommitter, senders: Senders
) -> None:
    await occupy(committer, senders)
    waiting = [senders.send("b", *body(f"b{number}")) for number in range(99)]
    committer.end([STORED])

    assert len(await committer.commit_one()) == 50
    assert len(await committer.commit_one()) == 49
    await asyncio.gather(*waiting)


async def test_few_bodies_are_committed_together(
    committer: HeldCommitter, senders: Senders
) -> None:
    await occupy(committer, senders)
    waiting = [senders.send("b", *body(f"b{number}")) for number in range(MIN_TAKEN)]
    committer.end([STORED])

    assert len(await committer.commit_one()) == MIN_TAKEN
    await asyncio.gather(*waiting)


async def test_next_commit_begins_before_outcomes_are_given(
    committer: HeldCommitter, senders: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    released_at_begin: list[list[str]] = []
    commit = committer.commit

    async def note_and_commit(
        entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        released_at_begin.append([*senders.released])
        return await commit(entries, waited_s=waited_s)

    monkeypatch.setattr(committer, "commit", note_and_commit)
    await occupy(committer, senders)
    last = senders.send("b", *body("b"))
    committer.end([STORED])
    await committer.commit_one()
    await last

    assert released_at_begin == [[], []]
    assert senders.released == ["a", "b"]


async def test_body_whose_sender_left_in_time_is_dropped_unwritten(
    committer: HeldCommitter, senders: Senders
) -> None:
    await occupy(committer, senders)
    left, stays = senders.send("b", *body("b")), senders.send("c", *body("c"))
    left.cancel()
    committer.end([STORED])

    assert ids(await committer.commit_one()) == ["c-0"]
    assert await stays == [STORED]
    assert sorted(senders.released) == ["a", "b", "c"]


async def test_batch_of_disconnected_senders_is_not_committed(
    committer: HeldCommitter, senders: Senders
) -> None:
    first = senders.send("a", *body("a"))
    await committer.begin()
    for name in "bc":
        senders.send(name, *body(name)).cancel()
    committer.end([STORED])
    await first
    last = senders.send("d", *body("d"))

    assert ids(await committer.commit_one()) == ["d-0"]
    assert await last == [STORED]
    assert sorted(senders.released) == ["a", "b", "c", "d"]


async def test_sender_that_disconnects_during_the_commit_affects_no_other(
    committer: HeldCommitter, senders: Senders
) -> None:
    await occupy(committer, senders)
    left, stays = senders.send("b", *body("b", 2)), senders.send("c", *body("c"))
    committer.end([STORED])
    await committer.begin()
    left.cancel()
    committer.end([STORED, STORED, DUPLICATE])

    assert await stays == [DUPLICATE]
    assert senders.released == ["a", "b", "c"]


async def test_only_fully_confirmed_bodies_are_answered(
    committer: HeldCommitter, senders: Senders
) -> None:
    await occupy(committer, senders)
    half, whole = senders.send("b", *body("b", 2)), senders.send("c", *body("c"))
    committer.end([STORED])
    await committer.begin()
    committer.end([STORED, None, STORED])

    with pytest.raises(UnavailableError):
        await half
    assert await whole == [STORED]
    assert senders.released == ["a", "b", "c"]


async def test_defect_fails_its_batch_and_the_writer_goes_on(
    committer: HeldCommitter, senders: Senders, caplog: pytest.LogCaptureFixture
) -> None:
    doomed = senders.send("a", *body("a"))
    await committer.begin()
    committer.end(RuntimeError("a defect"))

    with pytest.raises(UnavailableError):
        await doomed
    assert [line.exc_info is not None for line in caplog.records] == [True]
    next_one = senders.send("b", *body("b"))
    await committer.commit_one()
    assert await next_one == [STORED]
    assert senders.released == ["a", "b"]


async def test_stopping_writer_commits_waiting_bodies_and_refuses_new_ones(
    committer: HeldCommitter, senders: Senders, writer: Writer
) -> None:
    waiting = [senders.send("a", *body("a"))]
    await committer.begin()
    waiting += [senders.send(name, *body(name, MAX_BATCH)) for name in "bc"]

    stopping = asyncio.create_task(writer.stop())
    committer.end([STORED])
    await waiting[0]
    with pytest.raises(UnavailableError):
        _ = senders.send("late", *body("late"))
    assert not stopping.done()
    for name in "bc":
        assert ids(await committer.commit_one())[0] == f"{name}-0"

    await stopping
    assert [len(await done) for done in waiting] == [1, MAX_BATCH, MAX_BATCH]
    assert sorted(senders.released) == ["a", "b", "c"]


async def test_writer_survives_a_waiter_that_raises(
    committer: HeldCommitter, senders: Senders, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    writer = senders.writer
    _ = submit(writer, body("a"), release=fail)
    await committer.commit_one()
    after = senders.send("b", *body("b"))
    await committer.commit_one()

    assert await after == [STORED]
    assert [line.message for line in caplog.records] == [
        "outcomes could not be delivered"
    ]


async def test_writer_that_is_idle_or_was_never_started_stops_at_once() -> None:
    started, unstarted = Writer(HeldCommitter()), Writer(HeldCommitter())
    started.start()
    async with asyncio.timeout(PATIENCE_S):
        await started.stop()
        await unstarted.stop()


async def test_event_answered_as_stored_can_be_read_at_once(
    engine: AsyncEngine, database_url: str
) -> None:
    reader = patient_engine(database_url)
    writer = Writer(Committer(engine, timeout_s=PATIENCE_S))
    writer.start()

    async def send(number: int) -> Outcome:
        entry = record(user_id=f"user-{number % 20}")
        [outcome] = await submit(writer, [entry])
        async with reader.connect() as connection:
            query = select(func.count()).where(events.c.id == UUID(entry.id))
            assert await connection.scalar(query) == 1
        return outcome

    outcomes = await asyncio.gather(*(send(number) for number in range(40)))
    await writer.stop()
    await reader.dispose()

    assert sorted(outcomes) == sorted([STORED] * 20 + [DUPLICATE] * 20)
    assert await counts(engine) == (20, 20, 0)

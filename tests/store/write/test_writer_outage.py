"""The writer with entries that Postgres did not confirm in time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.metrics.counters import Metrics
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.journal.drain import Drain
from app.store.journal.fallback import OfflineBuffer, journal_directory, prepare_journal
from app.store.journal.journal import Journal
from app.store.keys.live_keys import LiveKeys
from app.store.keys.snapshot_file import KeySnapshotFile
from app.store.service_queries import ServiceQueries
from app.store.write.committer import Committer
from app.store.write.insert import STORED
from app.store.write.writer import Writer
from tests.support.eventually import eventually
from tests.support.limits import PATIENCE_S
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import counts, record, records, rejection
from tests.support.store.sabotage import end_other_sessions, run
from tests.support.store.submitting import submit

BUFFERED = Outcome(EventStatus.BUFFERED)


class Answers(Committer):
    """Has no database: each commit ends as the test says."""

    def __init__(self) -> None:
        self.ends: list[list[Outcome | None] | Exception] = []

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    @override
    async def release(self) -> None:
        """Has no connection."""


def make_outage(
    engine: AsyncEngine,
    data_dir: Path,
    *,
    committer: Committer | None = None,
    max_bytes: int = 1024**3,
    lookup_s: float = 1,
) -> OfflineBuffer:
    assert prepare_journal(data_dir, wanted="on")
    lookups = ServiceQueries(engine, timeout_s=lookup_s)
    return OfflineBuffer(
        Drain(
            Journal(journal_directory(data_dir), max_bytes=max_bytes),
            committer=committer or Committer(engine, timeout_s=PATIENCE_S),
            check=lookups.check_ready,
        ),
        known_keys=LiveKeys(KeySnapshotFile(data_dir), lookups.live_keys, trust_s=4),
        metrics=Metrics(),
    )


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def outage(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[OfflineBuffer]:
    outage = make_outage(engine, tmp_path)
    yield outage
    await outage.drain.journal.close()


@pytest.fixture
async def writer(answers: Answers, outage: OfflineBuffer) -> AsyncIterator[Writer]:
    writer = Writer(answers, drain=outage.drain)
    writer.start()
    yield writer
    await writer.stop()


async def send(writer: Writer, *entries: Entry) -> list[Outcome]:
    return await submit(writer, [*entries])


async def test_while_commits_succeed_nothing_is_written_beside_them(
    writer: Writer, answers: Answers, outage: OfflineBuffer, tmp_path: Path
) -> None:
    answers.ends = [[STORED]]
    assert await send(writer, record()) == [STORED]
    assert not outage.is_on
    assert [*journal_directory(tmp_path).iterdir()] == []


async def test_only_unconfirmed_entries_are_buffered(
    writer: Writer, answers: Answers, outage: OfflineBuffer
) -> None:
    answers.ends = [[STORED, None, None]]
    refused = rejection()
    outcomes = await send(writer, *records(2), refused)

    assert outcomes == [
        STORED,
        BUFFERED,
        Outcome(EventStatus.REJECTED, errors=refused.errors, buffered=True),
    ]
    page = await outage.drain.journal.read(limit=10)
    assert page is not None
    assert [entry.id for entry in page.entries] == [records(2)[1].id, refused.id]
    assert outage.is_on


class Slow(Answers):
    """Its first commit takes until the test has done waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = [[STORED], [STORED]]
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.waited_s: list[float] = []

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        self.waited_s.append(waited_s)
        self.begun.set()
        await self.go.wait()
        return await super().commit(entries)


@pytest.mark.parametrize("has_journal", [True, False])
async def test_entry_behind_a_slow_commit_is_journaled_sooner(
    outage: OfflineBuffer, *, has_journal: bool
) -> None:
    committer = Slow()
    writer = Writer(committer, drain=outage.drain if has_journal else None)
    writer.start()
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    first = asyncio.create_task(send(writer, record("1")))
    await committer.begun.wait()
    begun_s = loop.time() - sent_at
    second = asyncio.create_task(send(writer, record("2")))
    loop.call_later(0.2, committer.go.set)
    await asyncio.gather(first, second)
    await writer.stop()

    assert committer.waited_s[0] <= begun_s
    assert (committer.waited_s[1] > 0.1) == has_journal


async def test_oldest_entry_sets_the_deadline_of_a_batch(
    outage: OfflineBuffer,
) -> None:
    committer = Slow()
    committer.ends = [[STORED], [STORED, STORED]]
    writer = Writer(committer, drain=outage.drain)
    writer.start()
    first = asyncio.create_task(send(writer, record("1")))
    await committer.begun.wait()
    second = asyncio.create_task(send(writer, record("2")))
    await asyncio.sleep(0.2)  # the time that the second entry waits
    third = asyncio.create_task(send(writer, record("3")))
    await asyncio.sleep(0)
    committer.go.set()
    await asyncio.gather(first, second, third)
    await writer.stop()
    assert committer.waited_s[1] > 0.1


async def test_sender_that_left_during_the_commit_is_not_buffered(
    outage: OfflineBuffer,
) -> None:
    committer = Slow()
    committer.ends = [[None, None]]
    writer = Writer(committer, drain=outage.drain)
    left = submit(writer, [record("1")])
    stays = submit(writer, [record("2")])
    writer.start()
    await committer.begun.wait()
    left.cancel()
    committer.go.set()

    assert await stays == [BUFFERED]
    page = await outage.drain.journal.read(limit=10)
    assert page is not None
    assert page.entries == [record("2")]
    await writer.stop()


async def test_circuit_opens_once_the_journal_has_the_entry(
    writer: Writer, answers: Answers, outage: OfflineBuffer
) -> None:
    answers.ends = [[None] * 500]
    done = submit(writer, [*records(500)])
    for _ in range(5):
        await asyncio.sleep(0)  # the writer begins, and waits for the disk
    assert not answers.ends
    assert not outage.is_on
    assert await done == [BUFFERED] * 500
    assert outage.is_on


async def test_while_the_circuit_is_open_nobody_waits_for_postgres(
    writer: Writer, outage: OfflineBuffer
) -> None:
    outage.drain.circuit.open()  # else the committer of this test would have no answer
    assert await send(writer, *records(2)) == [BUFFERED] * 2
    outage.drain.circuit.close()


async def test_append_that_is_under_way_leaves_a_closed_circuit_closed(
    writer: Writer, outage: OfflineBuffer
) -> None:
    outage.drain.circuit.open()
    done = submit(writer, [*records(500)])
    await asyncio.sleep(0)  # the writer begins, and waits for the disk
    await asyncio.sleep(0)
    outage.drain.circuit.close()
    assert await done == [BUFFERED] * 500
    assert not outage.is_on


async def test_full_journal_is_not_used(
    answers: Answers, engine: AsyncEngine, tmp_path: Path
) -> None:
    outage = make_outage(engine, tmp_path, max_bytes=10)
    writer = Writer(answers, drain=outage.drain)
    writer.start()
    answers.ends = [[None]]
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await send(writer, record())
    assert outage.drain.journal.held.entries == 0
    assert not outage.can_accept
    await writer.stop()
    await outage.drain.journal.close()


async def test_old_schema_is_treated_as_an_outage(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    await run(engine, "DELETE FROM alembic_version")
    outage = make_outage(engine, tmp_path)
    await outage.start(reason="test")
    await eventually(lambda: not outage.can_accept)  # the drain has asked
    await outage.stop(within_s=0)


async def test_stop_leaves_the_journal_to_another_process(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    outage = make_outage(engine, tmp_path)
    await outage.drain.journal.append([[record()]])
    await outage.stop(within_s=0)
    other = Journal(journal_directory(tmp_path), max_bytes=0)
    assert await other.adopt() == 1
    await other.close()


async def test_defect_is_not_hidden_in_the_journal(
    writer: Writer, answers: Answers, outage: OfflineBuffer
) -> None:
    answers.ends = [LookupError("a defect"), [STORED]]
    with pytest.raises(UnavailableError):
        await send(writer, record())
    assert await send(writer, record()) == [STORED]
    assert outage.drain.journal.held.entries == 0


async def test_ended_session_still_stores_every_event(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    own = create_engine(database_url)
    outage = make_outage(own, tmp_path)
    writer = Writer(Committer(own, timeout_s=PATIENCE_S), drain=outage.drain)
    writer.start()
    for number in range(5):
        await end_other_sessions(engine)
        assert await send(writer, record(user_id=f"user-{number}")) == [STORED]
    assert not outage.is_on
    await writer.stop()
    await outage.drain.journal.close()
    await own.dispose()
    assert await counts(engine) == (5, 5, 0)


async def test_frozen_postgres_gets_the_events_once_it_thaws(
    engine: AsyncEngine, proxy: Proxy, tmp_path: Path
) -> None:
    own = create_engine(proxy.url, command_timeout_s=0.5)
    outage = make_outage(
        own, tmp_path, committer=Committer(own, timeout_s=0.5), lookup_s=0.3
    )
    writer = Writer(Committer(own, timeout_s=0.5), drain=outage.drain)
    await outage.start(reason=None)
    writer.start()
    sent = await _send_until_stored(writer, "before")

    proxy.freeze()
    assert await send(writer, *records(3)) == [BUFFERED] * 3
    proxy.thaw()
    sent += 3 + await _send_until_stored(writer, "after")
    await writer.stop()
    await outage.stop(within_s=60)
    await own.dispose()
    assert await counts(engine) == (sent, sent, 0)


async def _send_until_stored(writer: Writer, name: str) -> int:
    """Send events until one is not buffered, as any is on a busy machine."""
    sent = 0
    outcome = BUFFERED
    while outcome == BUFFERED:
        sent += 1
        [outcome] = await send(writer, record(user_id=f"{name}-{sent}"))
    assert outcome == STORED
    return sent

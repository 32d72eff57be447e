"""Dividing entries by user, and joining the outcomes of their parts."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from pathlib import Path

import pytest
from typing_extensions import override

from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Record
from app.request_errors import UnavailableError
from app.store.journal.drain import Drain
from app.store.journal.journal import Journal, prepare
from app.store.shards.buckets import ONE_BUCKET, Buckets
from app.store.shards.lanes import BucketWriters, RoutingCommitter
from app.store.write.committer import Committer
from app.store.write.insert import STORED
from app.store.write.writer import Writer
from tests.support.eventually import eventually
from tests.support.store.entries import record, records, rejection

BUCKETS = Buckets((3, 5, 8, 13))


class Recording(Committer):
    """A committer that stores nothing, and keeps what it was given."""

    def __init__(self, answer: Outcome | None = STORED) -> None:
        self.given: list[Entry] = []
        self.answer = answer

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        del waited_s
        self.given += entries
        return [self.answer] * len(entries)

    @override
    async def release(self) -> None:
        return


class RecordingDrain(RoutingCommitter, Recording):
    """The committer of the first journal's drain, without a database."""


class Waiting:
    """A waiter whose outcomes a test awaits."""

    is_done = False

    def __init__(self) -> None:
        self.outcomes: asyncio.Future[list[Outcome] | None] = asyncio.Future()

    def on_outcomes(self, outcomes: list[Outcome] | None) -> None:
        self.outcomes.set_result(outcomes)


def writers_of(
    committers: dict[int, Recording],
    first: Recording,
    read: Callable[[], Awaitable[Buckets]] | None = None,
    *,
    drain: Drain | None = None,
) -> BucketWriters:
    async def read_buckets() -> Buckets:
        return BUCKETS

    return BucketWriters(
        Writer(first, drain=drain),
        read_buckets=read or read_buckets,
        open_lanes=lambda buckets: {
            bucket: Writer(committers[bucket]) for bucket in buckets.numbers
        },
    )


def test_bucket_of_a_user_never_changes() -> None:
    users = ["user-1", "user-2", "", "é\U0001f600", "\ud800"]
    assert [BUCKETS.of(user) for user in users] == [3, 8, 3, 8, 3]
    assert {ONE_BUCKET.of(user) for user in users} == {0}


def test_entries_are_divided_by_user_and_rejected_ones_apart() -> None:
    entries: list[Entry] = [*records(20), rejection()]
    places = BUCKETS.divide(entries)
    assert sorted(chain(*places.values())) == [*range(21)]
    assert places.pop(None) == [20]
    assert set(places) == set(BUCKETS.numbers)
    for bucket, those in places.items():
        for place in those:
            entry = entries[place]
            assert isinstance(entry, Record)
            assert BUCKETS.of(entry.user_id) == bucket


async def test_one_bucket_uses_the_first_writer_alone() -> None:
    async def one() -> Buckets:
        return ONE_BUCKET

    first = Recording()
    writers = writers_of({}, first, one)
    writers.start()
    await writers.refresh()
    waiter = Waiting()
    writers.submit([*records(3)], waiter)
    assert await waiter.outcomes == [STORED] * 3
    assert len(first.given) == 3
    await writers.stop()


async def test_body_of_several_buckets_has_its_outcomes_in_order() -> None:
    committers = {
        bucket: Recording(Outcome(EventStatus.STORED, kept=bucket > 5))
        for bucket in BUCKETS.numbers
    }
    first = Recording(Outcome(EventStatus.REJECTED))
    writers = writers_of(committers, first)
    writers.start()
    await writers.refresh()
    entries: list[Entry] = [*records(8), rejection(), *records(4)]
    waiter = Waiting()
    writers.submit(entries, waiter)
    outcomes = await waiter.outcomes
    assert outcomes is not None
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(entry, Record):
            assert outcome == committers[BUCKETS.of(entry.user_id)].answer
        else:
            assert outcome == first.answer
    assert [*first.given] == [entries[8]]
    await writers.stop()


async def test_part_that_is_not_confirmed_leaves_the_body_unknown() -> None:
    committers = {bucket: Recording() for bucket in BUCKETS.numbers}
    committers[8].answer = None
    writers = writers_of(committers, Recording())
    writers.start()
    await writers.refresh()
    body, other = Waiting(), Waiting()
    writers.submit([*records(20)], body)
    writers.submit([record(user_id="user-1")], other)
    assert await body.outcomes is None
    assert await other.outcomes == [STORED]
    await writers.stop()
    with pytest.raises(UnavailableError):
        writers.submit([*records(2)], Waiting())


async def test_refusal_is_reported_once_every_bucket_refuses() -> None:
    committers = {bucket: Recording() for bucket in BUCKETS.numbers}
    writers = writers_of(committers, Recording())
    writers.start()
    await writers.refresh()
    for committer in committers.values():
        assert writers.refusal is None
        committer.answer = None
        body = Waiting()
        writers.submit([*records(20)], body)
        assert await body.outcomes is None
    assert writers.refusal is not None
    await writers.stop()


async def test_lane_drains_the_journal_of_its_bucket_until_it_stops(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        """The server of the bucket answers."""

    async def read_buckets() -> Buckets:
        return BUCKETS

    prepare(tmp_path / "journal")
    journal = Journal(tmp_path / "journal", max_bytes=1024**2)
    await journal.append([[record()]])
    committer = Recording()
    drain = Drain(journal, committer=committer, check=check)
    writers = BucketWriters(
        Writer(Recording()),
        read_buckets=read_buckets,
        open_lanes=lambda _: {3: Writer(Recording(), drain=drain)},
    )
    writers.start()
    await writers.refresh()
    await eventually(lambda: journal.waiting == 0)
    assert committer.given == [record()]

    committer.answer = None
    await journal.append([[record("left")]])
    await writers.stop()
    await writers.drain(within_s=0)
    other = Journal(tmp_path / "journal", max_bytes=0)
    assert await other.adopt() == 1
    await other.close()


async def test_lanes_are_not_opened_after_the_stop() -> None:
    async def stop_meanwhile() -> Buckets:
        await writers.stop()
        return BUCKETS

    writers = writers_of({}, Recording(), stop_meanwhile)
    writers.start()
    await writers.refresh()
    assert not writers.has_lanes


async def test_first_journal_is_drained_into_the_lanes() -> None:
    committers = {bucket: Recording() for bucket in BUCKETS.numbers}
    first = Recording()
    drain = RecordingDrain(Outcome(EventStatus.REJECTED))
    drain.writers = writers = writers_of(committers, first)
    writers.start()
    await writers.refresh()
    outcomes = await drain.commit([*records(9), rejection()])
    assert outcomes == [STORED] * 9 + [Outcome(EventStatus.REJECTED)]
    assert sum(len(committer.given) for committer in committers.values()) == 9
    assert (len(drain.given), first.given) == (1, [])
    await writers.stop()
    assert await drain.commit([*records(2)]) == [None, None]


async def test_rejected_events_of_the_first_journal_wait_in_it_during_an_outage(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        """The database answers, but commits nothing."""

    committer = RecordingDrain(None)
    prepare(tmp_path / "journal")
    journal = Journal(tmp_path / "journal", max_bytes=1024**2)
    drain = Drain(journal, committer=committer, check=check)
    committer.writers = writers = writers_of(
        {bucket: Recording() for bucket in BUCKETS.numbers},
        Recording(None),
        drain=drain,
    )
    writers.start()
    await writers.refresh()
    drain.circuit.open()
    await journal.append([[rejection()]])
    assert not await drain.store_page()
    assert drain.circuit.is_open
    assert (journal.held.entries, drain.confirmed) == (1, 0)
    await writers.stop()
    await journal.close()

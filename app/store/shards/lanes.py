"""Lanes: a writer with a circuit breaker, a journal and a drain for each bucket.

A shard that is away fills the journal of its own bucket, and delays no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from typing_extensions import override

from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import Record
from app.request_errors import UnavailableError
from app.store.shards.buckets import ONE_BUCKET, Buckets
from app.store.write.committer import Committer
from app.store.write.submission import Waiter
from app.store.write.writer import Refusal, Writer


class BucketWriters:
    """Passes each entry on: to the one writer, or to the lane of its bucket.

    Args:
        first: writer of all entries as long as one bucket is known; with several, of
            the rejected events, which have no bucket.
        read_buckets: asks the database.
        open_lanes: makes the writer of each bucket.

    Attributes:
        submit: queues the entries of one body, as `Writer.submit` does: the first
            writer's own method as long as one bucket is known.
    """

    def __init__(
        self,
        first: Writer,
        *,
        read_buckets: Callable[[], Awaitable[Buckets]],
        open_lanes: Callable[[Buckets], dict[int, Writer]],
    ) -> None:
        self._first = first
        self.submit: Callable[[list[Entry], Waiter], None] = first.submit
        self._read_buckets = read_buckets
        self._open_lanes = open_lanes
        self._buckets = ONE_BUCKET
        self._lanes: dict[int, Writer] = {}
        self._closing = False

    @property
    def waiting(self) -> int:
        """Number of bodies in the queues; one of several buckets is in several."""
        lanes = self._lanes.values()
        return self._first.waiting + sum(lane.waiting for lane in lanes)

    @property
    def has_lanes(self) -> bool:
        """Whether several buckets are known."""
        return bool(self._lanes)

    @property
    def refusal(self) -> Refusal | None:
        """The last commit, if its events were refused; of several buckets, by each.

        A server that is away refuses the events of its own bucket alone.
        """
        if not self._lanes:
            return self._first.refusal
        each = [lane.refusal for lane in self._lanes.values()]
        refusals = [refusal for refusal in each if refusal is not None]
        return max(refusals) if len(refusals) == len(each) else None

    async def refresh(self) -> None:
        """Open the lanes if the database has several buckets.

        Raises:
            UnavailableError: the database did not answer, or a lane cannot be opened.
        """
        if self._lanes or self._closing:
            return
        buckets = await self._read_buckets()
        if buckets.is_one or self._lanes or self._closing:  # meanwhile
            return
        self._lanes = self._open_lanes(buckets)
        self._buckets = buckets
        self.submit = self._submit_by_bucket
        for lane in self._lanes.values():
            lane.start()
            if lane.drain is not None:
                lane.drain.start()

    def start(self) -> None:
        """Start the first writer; needs a running event loop."""
        self._first.start()

    async def stop(self) -> None:
        """Write the queues, then end; later submissions are refused."""
        self._closing = True
        await asyncio.gather(
            self._first.stop(), *(lane.stop() for lane in self._lanes.values())
        )

    async def drain(self, *, within_s: float) -> None:
        """Store as much of the buckets' journals as the time allows."""
        drains = [lane.drain for lane in self._lanes.values() if lane.drain]
        await asyncio.gather(*(drain.stop(within_s=within_s) for drain in drains))
        await asyncio.gather(*(drain.journal.close() for drain in drains))

    def _submit_by_bucket(self, entries: list[Entry], waiter: Waiter) -> None:
        if self._closing:
            raise UnavailableError("The service is stopping; send this again.")
        parts = self._buckets.divide(entries)
        if len(parts) == 1:
            [bucket] = parts
            self._writer_of(bucket).submit(entries, waiter)
            return
        whole = _Whole(waiter, entries=len(entries), parts=len(parts))
        for bucket, places in parts.items():
            part = [entries[place] for place in places]
            self._writer_of(bucket).submit(part, _Part(whole, places))

    def _writer_of(self, bucket: int | None) -> Writer:
        return self._first if bucket is None else self._lanes[bucket]


class RoutingCommitter(Committer):
    """The committer of the drain of the first journal, which may hold all buckets.

    Its records came before the buckets were known. With several, each goes to the lane
    of its bucket, which buffers it again if its server is away. Rejected events have no
    lane: the first writer would put them back into the journal that is being drained.
    """

    writers: BucketWriters | None = None

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        """Commit entries, as `Committer` does."""
        if self.writers is None or not self.writers.has_lanes:
            return await super().commit(entries, waited_s=waited_s)
        rejections = [entry for entry in entries if not isinstance(entry, Record)]
        records = [entry for entry in entries if isinstance(entry, Record)]
        kept: Iterator[Outcome | None] = iter(())
        passed_on: Iterator[Outcome | None] = iter(())
        if rejections:
            kept = iter(await super().commit([*rejections], waited_s=waited_s))
        if records:
            passed_on = iter(await _submit(self.writers, records))
        return [
            next(passed_on if isinstance(entry, Record) else kept) for entry in entries
        ]


async def _submit(
    writers: BucketWriters, records: Sequence[Record]
) -> list[Outcome | None]:
    """The outcomes of records that go to the lanes; None where they are not known."""
    waiter = _Awaited()
    try:
        writers.submit([*records], waiter)
    except UnavailableError:
        return [None] * len(records)
    return await waiter.outcomes or [None] * len(records)


class _Awaited:
    """A waiter whose outcomes are awaited."""

    is_done = False

    def __init__(self) -> None:
        self.outcomes: asyncio.Future[list[Outcome | None] | None] = (
            asyncio.get_running_loop().create_future()
        )

    def on_outcomes(self, outcomes: list[Outcome] | None) -> None:
        self.outcomes.set_result([*outcomes] if outcomes else None)


class _Whole:
    """The outcomes of a body whose parts are in several lanes."""

    def __init__(self, waiter: Waiter, *, entries: int, parts: int) -> None:
        self.waiter = waiter
        self._outcomes: list[Outcome | None] = [None] * entries
        self._parts = parts

    def add_part(self, places: list[int], outcomes: list[Outcome] | None) -> None:
        """Take the outcomes of one part; None if they are not known."""
        for place, outcome in zip(places, outcomes or [], strict=False):
            self._outcomes[place] = outcome
        self._parts -= 1
        if self._parts == 0:
            known = [outcome for outcome in self._outcomes if outcome is not None]
            is_known = len(known) == len(self._outcomes)
            self.waiter.on_outcomes(known if is_known else None)


class _Part:
    """The waiter of one lane's part of a body."""

    def __init__(self, whole: _Whole, places: list[int]) -> None:
        self._whole = whole
        self._places = places

    @property
    def is_done(self) -> bool:
        return self._whole.waiter.is_done

    def on_outcomes(self, outcomes: list[Outcome] | None) -> None:
        self._whole.add_part(self._places, outcomes)

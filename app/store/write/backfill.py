"""Backfill: commit batches in order, while a second process prepares the next.

    this process   | read 1 2 | commit 0 | commit 1 | commit 2 |
    the worker     | process 0| process 1| process 2| process 3|

Validating costs about as much CPU as everything else of an import, and Python runs on
one core, so a single process would be the bottleneck, with any number of threads.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import DatabaseError, OperatorError
from app.pipeline.json_decode import allow_deep_bodies
from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import Record
from app.store.keys.sources import ensure_source
from app.store.lifecycle.audit import record_action
from app.store.operator_session import in_operator_transaction, run_with_engine
from app.store.quarantine.caps import Quarantine
from app.store.shards.buckets import read_buckets
from app.store.shards.committer import committer_of
from app.store.write.committer import Committer

Batch = TypeVar("Batch")
BatchInfo = TypeVar("BatchInfo")
ProcessBatch = Callable[[Batch], tuple[list[Entry], BatchInfo]]
# On their way between processes records are plain tuples: these are pickled in half
# the time, which is a twentieth of an import.
_Processed = tuple[list[Any], BatchInfo]
ReportBatch = Callable[[Sequence[Outcome], BatchInfo], None]

# A backfill is not urgent: while the database is away it waits for this long.
COMMIT_TIMEOUT_S = 60.0
# Batches that are being processed or wait for their commit.
_BATCHES_AHEAD = 2
_GC_THRESHOLD = 100_000


class Import(NamedTuple):
    """An import.

    Attributes:
        id: stored with each event, so that the import can be undone.
        source: of the events; registered if it is new.
        actor: name in the audit log.
        quarantine: keeps the rejected events.
    """

    id: UUID
    source: str
    actor: str
    quarantine: Quarantine


async def backfill(
    url: str,
    import_: Import,
    *,
    batches: Iterator[Batch],
    process: ProcessBatch[Batch, BatchInfo],
    report: ReportBatch[BatchInfo],
) -> None:
    """Process and commit batches in their order, each in a transaction of its own.

    The audit log gets a row `import.begin` before the first.

    Args:
        url: of the database.
        import_: its id, source and author.
        batches: picklable, as are `process` and its results.
        process: turns a batch into entries, and into the information for `report`.
        report: called for each batch once it is committed.

    Raises:
        ConfigurationError: the source's name is not valid.
        DatabaseError: the database has confirmed nothing for a minute. All reported
            batches are stored, and perhaps a part of the next one.
        OperatorError: the worker process was ended.
    """
    await in_operator_transaction(url, partial(_begin, import_=import_))

    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            buckets = await read_buckets(connection)
        committer = committer_of(
            engine,
            buckets,
            timeout_s=COMMIT_TIMEOUT_S,
            quarantine=import_.quarantine,
            import_id=import_.id,
        )
        first = list(islice(batches, _BATCHES_AHEAD))
        ahead: deque[Future[_Processed[BatchInfo]]] = deque()
        with _start_worker(is_thread=len(first) < _BATCHES_AHEAD) as executor:
            try:
                for batch in chain(first, batches):
                    ahead.append(executor.submit(_process, process, batch))
                    if len(ahead) > _BATCHES_AHEAD:
                        await _commit(committer, ahead.popleft(), report)
                while ahead:
                    await _commit(committer, ahead.popleft(), report)
            finally:
                # Batches ahead are not cancelled: a pool that breaks then would fail.
                await committer.release()

    with _gc_tuned_for_batches():
        try:
            await run_with_engine(url, work)
        except BrokenProcessPool as error:
            raise OperatorError(
                "The process that validates was ended; run the same command again."
            ) from error


async def _begin(connection: AsyncConnection, *, import_: Import) -> None:
    await ensure_source(connection, name=import_.source)
    await record_action(
        connection,
        "import.begin",
        actor=import_.actor,
        subject=str(import_.id),
        source=import_.source,
    )


@contextmanager
def _gc_tuned_for_batches() -> Iterator[None]:
    """Raise the GC threshold: cycle collection takes 10 % of an import.

    Events contain no cycles, and the threshold counts only objects that were not freed.
    """
    before = gc.get_threshold()
    allow_deep_bodies()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _commit(
    committer: Committer,
    processing: Future[_Processed[BatchInfo]],
    report: ReportBatch[BatchInfo],
) -> None:
    packed, info = await asyncio.wrap_future(processing)
    entries = [Record._make(e) if type(e) is tuple else e for e in packed]
    outcomes = await committer.commit(entries)
    confirmed = [outcome for outcome in outcomes if outcome is not None]
    report(confirmed, info)
    if len(confirmed) < len(outcomes):
        raise DatabaseError(
            f"The database has confirmed nothing for {COMMIT_TIMEOUT_S:.0f} s;"
            " once it answers, run the same command again."
        )


def _process(
    process: ProcessBatch[Batch, BatchInfo], batch: Batch
) -> _Processed[BatchInfo]:
    """Process a batch in the worker."""
    entries, info = process(batch)
    return [tuple(e) if isinstance(e, Record) else e for e in entries], info


def _start_worker(*, is_thread: bool) -> Executor:
    """A worker process, or a thread for few batches: a process starts slowly."""
    if is_thread:
        return ThreadPoolExecutor(1)
    # Forking would copy the connections and threads of this process.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=_prepare_worker)


def _prepare_worker() -> None:
    """Run first in the worker process."""
    # Ctrl-C reaches both processes; the other one ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the parent was killed, which the executor's queue does not show."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

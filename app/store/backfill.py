"""Backfills: batches from a file, committed in its order by two processes in turn.

One of them judges while the other commits:

    this process   | commit 0 | judge 2  | commit 2 | judge 4  |
    the helper     | judge 1  | commit 1 | judge 3  | commit 3 |

Python's share of the work is larger than Postgres's, so that one process alone, with
however many threads, would be the bottleneck.
"""

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseError, OperatorError
from app.store.commit import Committer
from app.store.insert import Entry, Outcome
from app.store.session import in_transaction, with_engine
from app.store.sources import ensure_source

Batch = TypeVar("Batch")
Note = TypeVar("Note")
Judge = Callable[[Batch], tuple[list[Entry], Note]]
Report = Callable[[Sequence[Outcome], Note], None]

# A backfill is in no hurry: while the database is away it waits rather than ends.
_COMMIT_TIMEOUT_S = 60.0
_LEAVING_S = 5.0
_COLLECT_AT = 100_000


async def backfill(
    url: str,
    *,
    source: str,
    batches: Iterator[Batch],
    judge: Judge[Batch, Note],
    report: Report[Note],
) -> None:
    """Judge and commit batches in their order, each in a transaction of its own.

    Args:
        url: of the database.
        source: registered if it is new.
        batches: can be pickled, as can `judge` and the notes.
        judge: makes of a batch what is to be committed, and what `report` is told.
        report: is told of each batch once it is committed.

    Raises:
        ConfigurationError: the source's name is not one.
        DatabaseError: the database has confirmed nothing for a minute. What was
            reported is stored, and of the two batches after it perhaps a part.
        OperatorError: something has ended the helper.
    """
    await in_transaction(url, partial(ensure_source, name=source))
    work = partial(_take_turns, url=url, batches=batches, judge=judge, report=report)
    with _collecting_rarely():
        await with_engine(url, work)


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Spare the tenth of its time that Python looks for cycles among events.

    The threshold counts what has not been freed, and events are freed without it; so
    it is reached where there are cycles indeed.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_AT, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _take_turns(
    engine: AsyncEngine,
    *,
    url: str,
    batches: Iterator[Batch],
    judge: Judge[Batch, Note],
    report: Report[Note],
) -> None:
    def tell(outcomes: list[Outcome | None], note: Note) -> None:
        confirmed = [outcome for outcome in outcomes if outcome is not None]
        report(confirmed, note)
        if len(confirmed) < len(outcomes):
            raise DatabaseError(
                f"The database has confirmed nothing for {_COMMIT_TIMEOUT_S:.0f} s;"
                " once it answers, run the same command again."
            )

    committer = Committer(engine, timeout_s=_COMMIT_TIMEOUT_S)
    own = [judge(batch) for batch in islice(batches, 1)]
    with ExitStack() as stack:
        helper: _Helper[Batch, Note] | None = None
        for theirs in batches:
            if helper is None:  # a file of one batch needs none
                helper = stack.enter_context(closing(_Helper(url, judge)))
            helper.judge(theirs)
            for entries, note in own:
                tell(await committer.settle(entries), note)
            helper.commit()
            own = [judge(batch) for batch in islice(batches, 1)]
            tell(*helper.settled())
        for entries, note in own:
            tell(await committer.settle(entries), note)


class _Helper(Generic[Batch, Note]):
    """Another process that judges a batch at a time, and commits it when told."""

    def __init__(self, url: str, judge: Judge[Batch, Note]) -> None:
        # Forking would copy the connections and threads of this process.
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_help, args=(theirs, url, judge), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the end of either process ends the other

    def judge(self, batch: Batch) -> None:
        """Begin to judge a batch."""
        with _explained():
            self._connection.send(batch)

    def commit(self) -> None:
        """Commit it as soon as it is judged."""
        with _explained():
            self._connection.send(None)

    def settled(self) -> tuple[list[Outcome | None], Note]:
        """Wait for what became of it."""
        with _explained():
            settled: tuple[list[Outcome | None], Note] = self._connection.recv()
        return settled

    def close(self) -> None:
        """Let the process finish what it commits, and end."""
        self._connection.close()
        self._process.join(_LEAVING_S)
        self._process.kill()
        self._process.join()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise OperatorError(
            "The process that helps to import was ended; run the same command again."
        ) from error


def _help(connection: Connection, url: str, judge: Judge[Any, Any]) -> None:
    """What the helper does, until the other process closes the connection."""
    # Ctrl-C is for the other one, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work(engine: AsyncEngine) -> None:
        committer = Committer(engine, timeout_s=_COMMIT_TIMEOUT_S)
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            while True:
                entries, note = judge(connection.recv())
                connection.recv()
                connection.send((await committer.settle(entries), note))

    with _collecting_rarely():
        asyncio.run(with_engine(url, work))

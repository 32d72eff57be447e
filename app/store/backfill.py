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
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    own = _Own(Committer(engine, timeout_s=_COMMIT_TIMEOUT_S), judge, report)
    own.judge_first_of(batches)
    with ExitStack() as stack:
        helper: _Helper[Batch, Note] | None = None
        for theirs in batches:
            if helper is None:  # a file of one batch needs none
                helper = stack.enter_context(closing(_Helper(url, judge)))
            if not helper.is_ready():  # it takes a second to start
                await own.commit()
                own.judge_first_of([theirs])
                continue
            helper.judge(theirs)
            await own.commit()
            helper.commit()
            own.judge_first_of(batches)
            own.tell(*helper.settled())
        await own.commit()


class _Own(Generic[Batch, Note]):
    """What this process has judged and not yet committed."""

    def __init__(
        self,
        committer: Committer,
        judge: Judge[Batch, Note],
        report: Report[Note],
    ) -> None:
        self._committer = committer
        self._judge = judge
        self._report = report
        self._judged: list[tuple[list[Entry], Note]] = []

    def judge_first_of(self, batches: Iterable[Batch]) -> None:
        """Judge a batch, if there is one."""
        self._judged = [self._judge(batch) for batch in islice(batches, 1)]

    async def commit(self) -> None:
        """Commit what is judged."""
        for entries, note in self._judged:
            self.tell(await self._committer.settle(entries), note)

    def tell(self, outcomes: list[Outcome | None], note: Note) -> None:
        """Report what is committed; end if that is not all."""
        confirmed = [outcome for outcome in outcomes if outcome is not None]
        self._report(confirmed, note)
        if len(confirmed) < len(outcomes):
            raise DatabaseError(
                f"The database has confirmed nothing for {_COMMIT_TIMEOUT_S:.0f} s;"
                " once it answers, run the same command again."
            )


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
        self._is_ready = False
        theirs.close()  # so that the end of either process ends the other

    def is_ready(self) -> bool:
        """Whether it has started; never waits."""
        if not self._is_ready and self._connection.poll():
            with _explained():
                self._is_ready = self._connection.recv()
        return self._is_ready

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
            connection.send(True)  # noqa: FBT003 - it is ready
            while True:
                entries, note = judge(connection.recv())
                connection.recv()
                connection.send((await committer.settle(entries), note))

    with _collecting_rarely():
        asyncio.run(with_engine(url, work))

"""The other process of a backfill, which judges while this one commits."""

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import OperatorError
from app.store.operator_session import run_with_engine
from app.store.quarantine.caps import Quarantine
from app.store.write.committer import Committer
from app.store.write.insert import Entry, Outcome

Batch = TypeVar("Batch")
Note = TypeVar("Note")
Judge = Callable[[Batch], tuple[list[Entry], Note]]
Quarantining = Callable[[], Quarantine]

# A backfill is in no hurry: while the database is away it waits rather than ends.
COMMIT_TIMEOUT_S = 60.0
_LEAVING_S = 5.0
_COLLECT_AT = 100_000


@contextmanager
def collecting_rarely() -> Iterator[None]:
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


def committer_for(
    engine: AsyncEngine, quarantining: Quarantining, import_id: UUID | None
) -> Committer:
    """What commits in one of the processes."""
    return Committer(
        engine,
        timeout_s=COMMIT_TIMEOUT_S,
        quarantine=quarantining(),
        import_id=import_id,
    )


class Helper(Generic[Batch, Note]):
    """Another process that judges a batch at a time, and commits it when told."""

    def __init__(
        self,
        url: str,
        process_event: Judge[Batch, Note],
        quarantining: Quarantining,
        import_id: UUID | None,
    ) -> None:
        # Forking would copy the connections and threads of this process.
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_help,
            args=(theirs, url, process_event, quarantining, import_id),
            daemon=True,
        )
        self._process.start()
        self._is_ready = False
        theirs.close()  # so that the end of either process ends the other

    def is_ready(self) -> bool:
        """Whether it has started; never waits."""
        if not self._is_ready and self._connection.poll():
            with _explained():
                self._is_ready = self._connection.recv() == "ready"
        return self._is_ready

    def process_event(self, batch: Batch) -> None:
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


def _help(
    connection: Connection,
    url: str,
    process_event: Judge[Any, Any],
    quarantining: Quarantining,
    import_id: UUID | None,
) -> None:
    """What the helper does, until the other process closes the connection."""
    # Ctrl-C is for the other one, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work(engine: AsyncEngine) -> None:
        committer = committer_for(engine, quarantining, import_id)
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            connection.send("ready")
            while True:
                entries, note = process_event(connection.recv())
                connection.recv()
                connection.send((await committer.settle(entries), note))

    with collecting_rarely():
        asyncio.run(run_with_engine(url, work))

"""Backfills: batches from a file, committed in its order by two processes in turn.

One of them judges while the other commits:

    this process   | commit 0 | judge 2  | commit 2 | judge 4  |
    the helper     | judge 1  | commit 1 | judge 3  | commit 3 |

Python's share of the work is larger than Postgres's, so that one process alone, with
however many threads, would be the bottleneck.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from typing import Generic
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseError
from app.store.keys.sources import ensure_source
from app.store.operator_session import in_operator_transaction, run_with_engine
from app.store.write.backfill_process import (
    COMMIT_TIMEOUT_S,
    Batch,
    Helper,
    Judge,
    Note,
    Quarantining,
    collecting_rarely,
    committer_for,
)
from app.store.write.committer import Committer
from app.store.write.insert import Entry, Outcome

Report = Callable[[Sequence[Outcome], Note], None]


async def backfill(  # noqa: PLR0913 - what is done, by what rules, and who is told
    url: str,
    *,
    source: str,
    batches: Iterator[Batch],
    process_event: Judge[Batch, Note],
    quarantining: Quarantining,
    report: Report[Note],
    import_id: UUID | None = None,
) -> None:
    """Judge and commit batches in their order, each in a transaction of its own.

    Args:
        url: of the database.
        source: registered if it is new.
        batches: can be pickled, as can `judge`, `quarantining` and the notes.
        process_event: turns a batch into the entries to commit and the note
            for `report`.
        quarantining: makes for each process what keeps the rejected events.
        report: is told of each batch once it is committed.
        import_id: stored with each event, so that the import can be undone.

    Raises:
        ConfigurationError: the source's name is not one.
        DatabaseError: the database has confirmed nothing for a minute. What was
            reported is stored, and of the two batches after it perhaps a part.
        OperatorError: something has ended the helper.
    """
    await in_operator_transaction(url, partial(ensure_source, name=source))
    start = partial(Helper[Batch, Note], url, process_event, quarantining, import_id)

    async def work(engine: AsyncEngine) -> None:
        own = _Own(
            committer_for(engine, quarantining, import_id), process_event, report
        )
        await _take_turns(own, batches, start=start)

    with collecting_rarely():
        await run_with_engine(url, work)


async def _take_turns(
    own: "_Own[Batch, Note]",
    batches: Iterator[Batch],
    *,
    start: Callable[[], Helper[Batch, Note]],
) -> None:
    own.judge_first_of(batches)
    with ExitStack() as stack:
        helper: Helper[Batch, Note] | None = None
        for theirs in batches:
            if helper is None:  # a file of one batch needs none
                helper = stack.enter_context(closing(start()))
            if not helper.is_ready():  # it takes a second to start
                await own.commit()
                own.judge_first_of([theirs])
                continue
            helper.process_event(theirs)
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
        process_event: Judge[Batch, Note],
        report: Report[Note],
    ) -> None:
        self._committer = committer
        self._judge = process_event
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
                f"The database has confirmed nothing for {COMMIT_TIMEOUT_S:.0f} s;"
                " once it answers, run the same command again."
            )

"""Actions of operators on the quarantine, each in transactions of its own."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import Policy
from app.store.quarantine.correct import Correction, correct
from app.store.quarantine.queries import SelectionCounts, count_selection, purge
from app.store.quarantine.replay import Replayed, replay
from app.store.query import ask
from app.store.read.filters import RejectedFilter

_TIMEOUT_S = 10.0
_NO_RESPONSE = "The database did not respond in time. Try again."


class QuarantineActions:
    """Corrects, replays and purges rejected events.

    `count` and `correct` raise UnavailableError if the database does not respond in
    time. The engine is separate from those of the writer and of readers.
    """

    def __init__(self, engine: AsyncEngine, policy: Policy) -> None:
        self._engine = engine
        self._ask = partial(ask, engine, timeout_s=_TIMEOUT_S, failure=_NO_RESPONSE)
        self._policy = policy

    async def correct(
        self, id_: UUID, payload: str, *, actor: str | None
    ) -> Correction:
        """Store a corrected payload if it is valid; without an actor only check it.

        Raises:
            EventNotFoundError: no rejected event waits for it.
        """
        work = partial(
            correct, id_=id_, payload=payload, policy=self._policy, actor=actor
        )
        return await self._ask(work)

    async def count(self, selection: RejectedFilter) -> SelectionCounts:
        """Count a selection."""
        return await self._ask(partial(count_selection, selection=selection))

    async def replay(
        self,
        selection: RejectedFilter,
        report: Callable[[Replayed], None],
        *,
        actor: str,
    ) -> None:
        """Replay a selection in batches; `report` gets each after its commit."""
        await replay(
            self._engine, selection, policy=self._policy, actor=actor, report=report
        )

    async def purge(self, selection: RejectedFilter, *, actor: str) -> int:
        """Delete a selection in batches; returns how many events."""
        batches: list[int] = []
        await purge(self._engine, selection, actor=actor, report=batches.append)
        return sum(batches)

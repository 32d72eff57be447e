"""Actions of operators on the quarantine, each in transactions of its own."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import EventNotFoundError, NotFoundError
from app.pipeline.record import Policy
from app.store.quarantine.correct import Correction, correct
from app.store.quarantine.queries import SelectionCounts, purge, survey
from app.store.quarantine.replay import Replayed, replay
from app.store.query import ask
from app.store.read.filters import RejectedFilter

T = TypeVar("T")

_TIMEOUT_S = 10.0
_NO_RESPONSE = "The database did not respond in time. Try again."


class QuarantineActions:
    """Corrects, replays and purges rejected events.

    Args:
        engine: separate from those of the writer and of readers.
        policy: by which events are processed again.
    """

    def __init__(self, engine: AsyncEngine, policy: Policy) -> None:
        self._engine = engine
        self._policy = policy

    async def correct(
        self, id_: UUID, payload: str, *, check_only: bool = False
    ) -> Correction:
        """Store a corrected payload, or only check it.

        Raises:
            NotFoundError: no rejected event waits for it.
            UnavailableError: the database did not respond.
        """
        work = partial(
            correct,
            id_=id_,
            payload=payload,
            policy=self._policy,
            check_only=check_only,
        )
        try:
            return await self._ask(work)
        except EventNotFoundError as error:
            raise NotFoundError(error.detail) from None

    async def count(self, selection: RejectedFilter) -> SelectionCounts:
        """Count a selection.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._ask(partial(survey, selection=selection))

    async def replay(
        self, selection: RejectedFilter, *, report: Callable[[Replayed], None]
    ) -> None:
        """Replay a selection in batches; `report` gets each after its commit."""
        await replay(self._engine, selection, policy=self._policy, report=report)

    async def purge(self, selection: RejectedFilter) -> int:
        """Delete a selection in batches; returns how many events."""
        deleted: list[int] = []
        await purge(self._engine, selection, report=deleted.append)
        return sum(deleted)

    async def _ask(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        return await ask(self._engine, work, timeout_s=_TIMEOUT_S, failure=_NO_RESPONSE)

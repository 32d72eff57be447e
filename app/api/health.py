"""Whether the process lives, and whether it can take events in."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.openapi import problem_responses
from app.errors import SchemaError, UnavailableError
from app.store.journal.fallback import OfflineBuffer

Taking = Literal["stored", "buffered"]

# So long one answer serves all who ask: probes must not crowd out the writing.
_TRUST_S = 0.5


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(default="alive", examples=["alive"])


class Ready(BaseModel):
    """Events can be taken in."""

    status: str = Field(default="ready", examples=["ready"])
    events: Taking = Field(
        description="What becomes of an event now: `stored` is committed to Postgres, "
        "`buffered` is in the journal on this machine, and goes to Postgres later.",
    )


class Readiness:
    """Asks the database whether events can be stored; one question for all askers.

    Args:
        check: raises UnavailableError or SchemaError where they cannot.
        outage: what takes events while the database does not, if anything does.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        *,
        outage: OfflineBuffer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._outage = outage
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._problem: UnavailableError | SchemaError | None = None

    async def ask(self) -> Taking:
        """What becomes of events now.

        Raises:
            UnavailableError: they cannot be taken; the detail says why.
        """
        outage = self._outage
        if outage is not None and outage.is_on and outage.takes:
            return "buffered"  # at once: a frozen database would take its time
        asked_at = self._clock()
        async with self._lock:
            if self._asked_at + _TRUST_S < asked_at:
                self._problem = await self._find_problem()
                # Only now: a check that was cut short is no answer.
                self._asked_at = asked_at
        if self._problem is None:
            return "stored"
        if isinstance(self._problem, SchemaError) or not (outage and outage.takes):
            raise UnavailableError(self._problem.detail)
        return "buffered"

    async def _find_problem(self) -> UnavailableError | SchemaError | None:
        try:
            await self._check()
        except (UnavailableError, SchemaError) as error:
            return error
        return None


def health_routes(readiness: Readiness) -> APIRouter:
    """`/livez` and `/readyz`."""
    routes = APIRouter(tags=["health"])

    # As GET, without the body: it is what some probes ask.
    @routes.head("/livez", include_in_schema=False)
    @routes.get("/livez", summary="Whether the process lives; touches nothing")
    async def livez() -> Alive:
        return Alive()

    @routes.head("/readyz", include_in_schema=False)
    @routes.get(
        "/readyz",
        summary="Whether events can be taken in durably",
        responses=problem_responses(503),
    )
    async def readyz() -> Ready:
        return Ready(events=await readiness.ask())

    return routes

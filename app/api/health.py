"""Whether the process lives, and whether it can take events in."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.openapi import problem_responses
from app.errors import SchemaError, UnavailableError

# So long one answer serves all who ask: probes must not crowd out the writing.
_TRUST_S = 0.5


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(default="alive", examples=["alive"])


class Ready(BaseModel):
    """Events can be taken in."""

    status: str = Field(default="ready", examples=["ready"])
    events: str = Field(
        default="stored",
        description="What becomes of an event now: `stored` is committed to Postgres.",
    )


class Readiness:
    """Asks the database whether events can be stored; one question for all askers.

    Args:
        check: raises UnavailableError or SchemaError where they cannot.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._reason: str | None = None

    async def ask(self) -> None:
        """Return where events can be stored.

        Raises:
            UnavailableError: they cannot; the detail says why.
        """
        asked_at = self._clock()
        async with self._lock:
            if self._asked_at + _TRUST_S < asked_at:
                self._reason = await self._find_reason()
                # Only now: a check that was cut short is no answer.
                self._asked_at = asked_at
        if self._reason is not None:
            raise UnavailableError(self._reason)

    async def _find_reason(self) -> str | None:
        try:
            await self._check()
        except (UnavailableError, SchemaError) as error:
            return error.detail
        return None


def health_routes(readiness: Readiness) -> APIRouter:
    """`/livez` and `/readyz`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", summary="Whether the process lives; touches nothing")
    async def livez() -> Alive:
        return Alive()

    @routes.get(
        "/readyz",
        summary="Whether events can be taken in durably",
        responses=problem_responses(503),
    )
    async def readyz() -> Ready:
        await readiness.ask()
        return Ready()

    return routes

"""`/livez` and `/readyz`: whether the process lives, and whether it takes events."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.openapi import problem_responses
from app.errors import SchemaError
from app.request_errors import UnavailableError
from app.store.journal.fallback import OfflineBuffer

# One answer serves all probes for this time, so that they cannot crowd out writers.
_TRUST_S = 0.5


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(default="alive", examples=["alive"])


class Ready(BaseModel):
    """Events are accepted."""

    status: str = Field(default="ready", examples=["ready"])
    events: Literal["stored", "buffered"] = Field(
        description="Outcome of an event sent now: `stored` is committed to Postgres, "
        "`buffered` is in the journal on this machine and goes to Postgres later."
    )
    reason: str | None = Field(
        default=None,
        description="Why events are buffered; or `no keys yet`, if nobody can send.",
        examples=["password refused"],
    )
    since: datetime | None = Field(
        default=None, description="Time since when events are buffered."
    )
    declarations: str | None = Field(
        default=None,
        description="Digest of the event declarations, to compare instances.",
        examples=["6b86b273ff34fce1"],
    )


class _Problem(NamedTuple):
    """Why Postgres does not store events, and whether its schema is the reason."""

    reason: str
    since: datetime
    is_schema: bool


class Readiness:
    """Whether events are accepted; one check answers all probes of half a second.

    Args:
        check: raises UnavailableError or SchemaError if Postgres cannot store events.
        has_write_keys: whether a live write key exists in Postgres.
        outage: buffer for the time without Postgres; None without a journal.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        *,
        has_write_keys: Callable[[], Awaitable[bool]],
        outage: OfflineBuffer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._has_write_keys = has_write_keys
        self._outage = outage
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._problem: _Problem | None = None
        self._has_keys = True

    async def ask(self) -> Ready:
        """Return the outcome of an event sent now.

        Raises:
            UnavailableError: events are refused; the detail gives the reason.
        """
        outage = self._outage
        if outage is not None and outage.is_on and _takes_events(outage):
            # Without a check: a frozen database would delay the answer.
            return Ready(
                events="buffered",
                reason=outage.buffer.circuit.reason,
                since=outage.buffer.circuit.since,
            )
        asked_at = self._clock()
        async with self._lock:
            if self._asked_at + _TRUST_S < asked_at:
                self._problem = await self._find_problem()
                # Only now: a check that was cut short gives no answer.
                self._asked_at = asked_at
        problem = self._problem
        if problem is None:
            reason = None if self._has_keys else "no keys yet"
            return Ready(events="stored", reason=reason)
        if outage is not None and not problem.is_schema and _takes_events(outage):
            return Ready(events="buffered", reason=problem.reason, since=problem.since)
        raise UnavailableError(
            f"Events are refused since {problem.since:%Y-%m-%dT%H:%M:%SZ}: "
            f"{problem.reason}.",
            reason=problem.reason,
        )

    async def _find_problem(self) -> _Problem | None:
        try:
            await self._check()
            self._has_keys = await self._has_write_keys()
        except UnavailableError as error:
            return self._since_when(error.reason, is_schema=False)
        except SchemaError as error:
            return self._since_when(error.detail.rstrip("."), is_schema=True)
        return None

    def _since_when(self, reason: str, *, is_schema: bool) -> _Problem:
        since = self._problem.since if self._problem else datetime.now(UTC)
        return _Problem(reason, since, is_schema)


def _takes_events(outage: OfflineBuffer) -> bool:
    """Whether events of at least one sender can be buffered."""
    return outage.takes and outage.knows_a_sender


def health_routes(readiness: Readiness, *, declarations: str) -> APIRouter:
    """Routes `/livez` and `/readyz`, which shows the digest of the declarations."""
    routes = APIRouter(tags=["health"])

    # Some probes send HEAD.
    @routes.head("/livez", include_in_schema=False)
    @routes.get("/livez", summary="Whether the process lives; touches nothing")
    async def livez() -> Alive:
        return Alive()

    @routes.head("/readyz", include_in_schema=False, response_model_exclude_none=True)
    @routes.get(
        "/readyz",
        summary="Whether events can be taken in durably",
        responses=problem_responses(503),
        response_model_exclude_none=True,
    )
    async def readyz() -> Ready:
        ready = await readiness.ask()
        return ready.model_copy(update={"declarations": declarations})

    return routes

"""`/livez` and `/readyz`: whether the process lives, and whether it takes events."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.openapi import problem_responses
from app.errors import SchemaError
from app.request_errors import UnavailableError
from app.store.journal.fallback import OfflineBuffer
from app.store.write.writer import Refusal

# One answer serves all probes for this time, so that they cannot crowd out writers.
_TRUST_S = 0.5
# Longest wait for Postgres: a little more than two look-ups have by default, so that
# the answer names its cause, and a slow Postgres is no outage.
_WAIT_S = 2.2


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

    The answer comes within about two seconds. If the check takes longer, an earlier
    good one holds for as long as no event can have been refused since.

    Args:
        check: raises UnavailableError or SchemaError if Postgres cannot store events.
        has_write_keys: whether a live write key exists in Postgres.
        lookup_s: time limit of a look-up. Where Postgres does not respond, no event is
            refused sooner.
        commit_s: time limit of a commit.
        refusal: the last commit, if its events were refused.
        outage: buffer for the time without Postgres; None without a journal.
        clock: monotonic seconds.
        wait_s: longest wait for a check.
    """

    def __init__(  # noqa: PLR0913 - what it depends on, and two values for tests
        self,
        check: Callable[[], Awaitable[None]],
        *,
        has_write_keys: Callable[[], Awaitable[bool]],
        lookup_s: float,
        commit_s: float,
        refusal: Callable[[], Refusal | None] = lambda: None,
        outage: OfflineBuffer | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = _WAIT_S,
    ) -> None:
        self._check = check
        self._has_write_keys = has_write_keys
        self._lookup_s = lookup_s
        self._commit_s = commit_s
        self._refusal = refusal
        self._outage = outage
        self._clock = clock
        self._wait_s = wait_s
        self._checking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._confirmed_at = float("-inf")
        self._problem: _Problem | None = None
        self._refused: _Problem | None = None
        self._has_keys = True

    async def ask(self) -> Ready:
        """Return the outcome of an event sent now.

        Raises:
            UnavailableError: events are refused; the detail gives the reason.
        """
        return self._outcome(self._known_problem() or await self._latest())

    def recall(self) -> Ready | None:
        """Return the same from memory; None if refused, or if a check is due."""
        problem = self._known_problem()
        if problem is None:
            if self._asked_at + _TRUST_S < self._clock():
                return None
            problem = self._problem
        try:
            return self._outcome(problem)
        except UnavailableError:
            return None

    def confirm(self) -> None:
        """Record that Postgres can store events now."""
        self._confirmed_at = self._clock()

    async def stop(self) -> None:
        """End a check that is under way, and give it time to return its connection."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait({self._checking}, timeout=self._wait_s)

    def _known_problem(self) -> _Problem | None:
        """The result of the last commits; no check is needed then."""
        outage = self._outage
        if outage is not None and outage.is_on:
            circuit = outage.drain.circuit
            return _Problem(
                circuit.reason,
                circuit.since or datetime.now(UTC),
                is_schema=outage.drain.is_schema_too_old,
            )
        refusal = self._refusal()
        # Without events, nothing but time shows that commits succeed again.
        if refusal is None or self._clock() > refusal.at + 2 * self._commit_s:
            self._refused = None
            return None
        since = self._refused.since if self._refused else datetime.now(UTC)
        self._refused = _Problem(refusal.reason, since, is_schema=False)
        return self._refused

    def _outcome(self, problem: _Problem | None) -> Ready:
        if problem is None:
            reason = None if self._has_keys else "no keys yet"
            return Ready(events="stored", reason=reason)
        outage = self._outage
        reason = problem.reason
        if outage is not None and not problem.is_schema:
            if not outage.can_accept:
                reason += ", and the journal takes no events"
            elif not outage.known_keys.has_write_keys:
                reason += ", and no key is known"
            else:
                return Ready(events="buffered", reason=reason, since=problem.since)
        raise UnavailableError(
            f"Events are refused since {problem.since:%Y-%m-%dT%H:%M:%SZ}: {reason}.",
            reason=reason,
        )

    async def _latest(self) -> _Problem | None:
        """The result of the last check, or of one that ends in time."""
        checking = self._checking
        if checking is None or checking.done():
            if self._asked_at + _TRUST_S >= self._clock():
                return self._problem
            checking = self._checking = asyncio.create_task(self._find_problem())
        await asyncio.wait({checking}, timeout=self._wait_s)
        if checking.cancelled():
            raise UnavailableError("The service is ending.")
        if checking.done():
            checking.result()
        elif self._confirmed_at + self._lookup_s < self._clock():
            self._problem = self._since_when("no answer in time", is_schema=False)
        return self._problem

    async def _find_problem(self) -> None:
        asked_at = self._clock()
        try:
            await self._check()
            self._has_keys = await self._has_write_keys()
        except UnavailableError as error:
            self._problem = self._since_when(error.reason, is_schema=False)
        except SchemaError as error:
            self._problem = self._since_when(error.detail.rstrip("."), is_schema=True)
        else:
            self._problem = None
            self._confirmed_at = asked_at
        # Only now: a check that was cut short gives no answer.
        self._asked_at = asked_at

    def _since_when(self, reason: str, *, is_schema: bool) -> _Problem:
        since = self._problem.since if self._problem else datetime.now(UTC)
        return _Problem(reason, since, is_schema)


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


class RecalledReadiness:
    """ASGI middleware that answers `/readyz` from memory, without FastAPI's routes.

    Args:
        app: answers all other requests, and this one when a check is due or events are
            refused.
        readiness: remembers the last check.
        declarations: digest of the event declarations.
    """

    def __init__(
        self, app: ASGIApp, readiness: Readiness, *, declarations: str
    ) -> None:
        self._app = app
        self._readiness = readiness
        self._declarations = declarations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_probe = scope["type"] == "http" and scope["path"] == "/readyz"
        is_read = is_probe and scope["method"] in {"GET", "HEAD"}
        ready = self._readiness.recall() if is_read else None
        if ready is None:
            await self._app(scope, receive, send)
            return
        ready.declarations = self._declarations
        body = ready.model_dump_json(exclude_none=True)
        response = Response(body, media_type="application/json")
        await response(scope, receive, send)

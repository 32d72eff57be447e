"""The life of a request: it ends exactly once, with a response or without a client."""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import ceil
from typing import Protocol

from app.ingest.load.budget import Permit
from app.ingest.load.source_queue import Ticket
from app.ingest.problems import problem_response
from app.ingest.responses import TrackResponse
from app.ingest.routes import TrackRoute
from app.ingest.services import IngestServices
from app.logs import fields
from app.metrics.catalog import REFUSALS, REQUESTS, UNANSWERED
from app.request_errors import (
    InternalError,
    OverloadedError,
    RequestError,
    UnavailableError,
)

log = logging.getLogger(__name__)

# A refused connection is left unread for this fraction of its `Retry-After`, which is
# at most a second. A client that ignores the header is then still answered in time.
_UNREAD_PART = 0.2
_UNKNOWN = "Rollcall failed; whether the events are in is unknown."


class Client(Protocol):
    """The client's side of a request: a connection, or an adapter of one.

    Attributes:
        peer: address at the other end of the connection; may be empty.
    """

    peer: str

    def respond(self, response: TrackResponse, request_id: str) -> None:
        """Send the response; called once, unless the client left."""

    def invite_body(self) -> None:
        """Answer `Expect: 100-continue`, if the client sent it."""

    def hold(self, *, held: bool) -> None:
        """Stop reading the body, or go on."""

    def trust(self) -> None:
        """The request carries a known key."""

    def back_off(self, seconds: float) -> None:
        """Leave the next request unread for a moment: this one is refused for load."""


class RequestLifecycle:
    """Resources of a request, and its end.

    Args:
        services: shared by all requests.
        route: where it was sent.
        request_id: ours.
        client: gets the response.

    Attributes:
        is_done: whether it was answered, or its client left.
        source: the sender, once it is known.
    """

    __slots__ = (
        "_began",
        "_client",
        "_has_left",
        "_is_in_thread",
        "_is_received",
        "_is_submitted",
        "_permit",
        "_request_id",
        "_route",
        "_services",
        "_ticket",
        "_waits_for_key",
        "is_done",
        "source",
    )

    def __init__(
        self,
        services: IngestServices,
        route: TrackRoute,
        request_id: str,
        client: Client,
    ) -> None:
        self._began = time.perf_counter()
        self._services = services
        self._route = route
        self._request_id = request_id
        self._client = client
        self.source: str | None = None
        self._permit: Permit | None = None
        self._ticket: Ticket | None = None
        self._is_received = False
        self._has_left = False
        self._is_submitted = False
        # Whether a thread works on it, which goes on after the end of the request.
        self._is_in_thread = False
        self._waits_for_key = False
        self.is_done = False

    def disconnect(self) -> None:
        """The client left; a request that is complete is processed all the same."""
        self._has_left = True
        if not (self.is_done or self._is_received):
            self._note_unanswered()
            self._release()

    def _note_unanswered(self) -> None:
        log.info(
            "client left",
            extra=fields(request_id=self._request_id, route=self._route.path),
        )
        self._services.metrics.add(REQUESTS, self._route.path, UNANSWERED)

    def expire(self) -> None:
        """The time for the response is over."""
        if self._ticket is not None and not self._ticket.is_active:
            self._refuse(
                OverloadedError("This request waited too long; send it again.")
            )
        elif self._ticket and not (self._is_submitted or self._waits_for_key):
            self._refuse(OverloadedError("This request took too long; send it again."))
        else:
            self._refuse(UnavailableError("The database did not answer in time."))

    def _try(self, stage: Callable[..., None], *arguments: object) -> None:
        """Call a stage; an error that it raises becomes the response."""
        if self.is_done:
            return
        try:
            stage(*arguments)
        except RequestError as error:
            self._refuse(error)
        except Exception:
            log.exception(self._failure, extra=fields(request_id=self._request_id))
            self._refuse(InternalError(_UNKNOWN))

    def _run(self, stage: Awaitable[None]) -> None:
        """The same for a stage that has to wait, in a task."""
        self._services.run(self._try_slowly(stage))

    async def _try_slowly(self, stage: Awaitable[None]) -> None:
        try:
            await stage
        except RequestError as error:
            self._refuse(error)
        except Exception:
            log.exception(self._failure, extra=fields(request_id=self._request_id))
            self._refuse(InternalError(_UNKNOWN))

    @property
    def _failure(self) -> str:
        return "request failed after its end" if self.is_done else "request failed"

    def _refuse(self, error: RequestError) -> None:
        if self.is_done:
            return
        if isinstance(error, OverloadedError):
            self._release()
            self._services.refuse_soon(partial(self._answer_overload, error))
        else:
            self._answer(error)

    def _answer_overload(self, error: OverloadedError) -> None:
        if self._has_left:
            self._note_unanswered()
            return
        services = self._services
        services.note_overload()
        pause_s = services.scheduler.back_off_s(self.source or "")
        self._client.back_off(_UNREAD_PART * pause_s)
        error.retry_after = max(1, ceil(pause_s))
        self._answer(error)

    def _answer(self, error: RequestError) -> None:
        self._services.metrics.add(REFUSALS, error.code)
        self._respond(problem_response(error, request_id=self._request_id))

    def _respond(self, response: TrackResponse) -> None:
        services, took_s = self._services, time.perf_counter() - self._began
        self._release()
        try:
            # Ahead of the response, so that its reader finds it counted.
            services.metrics.count_request(
                self._route.path, response.status, took_s, response.counts, self.source
            )
        finally:
            self._client.respond(response, self._request_id)
        services.requests.add(
            request_id=self._request_id,
            route=self._route.path,
            status=response.status,
            source=self.source,
            milliseconds=round(took_s * 1000, 3),
            **response.counts,
            **self._origin(),
        )

    def _origin(self) -> dict[str, str]:
        """Return the fields of the log that say where the request comes from."""
        return {}

    def _release(self) -> None:
        self.is_done = True
        if not self._is_in_thread:
            self._give_back()
        self._forget()

    def _give_back(self) -> None:
        """Let others have the turn, and the bytes unless the writer holds them."""
        if self._ticket is not None:
            self._services.scheduler.leave(self._ticket)
        if self._permit is not None and not self._is_submitted:
            self._permit.release()

    def _forget(self) -> None:
        """Drop large objects: they must not wait for the garbage collector."""

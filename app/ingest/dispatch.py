"""The outermost ASGI app: the doors ahead of FastAPI, one log line a request.

FastAPI's stack costs more than all that a door does, so doors are found by path and
answered here; everything else is FastAPI's.
"""

import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from app.access.session_cookie import keep_session_cookie
from app.errors import InternalError, RequestError
from app.http.exchange import ANSWER
from app.ingest.body import ClientLeftError, Receive
from app.ingest.handler import TrackHandler
from app.ingest.problems import problem_response
from app.ingest.request import SOURCE, Scope
from app.ingest.responses import TrackResponse
from app.ingest.routes import TrackRoute
from app.logs import RequestLog, fields
from app.metrics.catalog import REFUSALS, REQUESTS
from app.metrics.labels import OTHER, UNANSWERED
from app.metrics.meters import Meters

log = logging.getLogger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID = "request_id"
_REQUEST_ID_HEADER = b"x-request-id"


class Dispatcher:
    """Sends each request to its door, or to the rest of the app.

    Args:
        routes: each also answers with a trailing slash.
        track_handler: what is behind the doors.
        rest: the ASGI app that has every other path, and the lifespan.
        requests: gets a line for each.
        meters: count each.
    """

    def __init__(
        self,
        routes: Iterable[TrackRoute],
        *,
        track_handler: TrackHandler,
        rest: App,
        requests: RequestLog,
        meters: Meters,
    ) -> None:
        self._routes = {
            path: route for route in routes for path in (route.path, route.path + "/")
        }
        self._tracker = track_handler
        self._rest = rest
        self._requests = requests
        self._meters = meters
        # Unique, which is all that an id must be, and made without a system call.
        self._id_prefix = secrets.token_hex(8)
        self._ids = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        route = self._routes.get(scope["path"])
        request_id = f"{self._id_prefix}{next(self._ids):016x}"
        if route is None:
            await self._pass_on(scope, receive, send, request_id)
        else:
            await self._answer(route, scope, receive, send, request_id)

    async def _answer(
        self,
        route: TrackRoute,
        scope: Scope,
        receive: Receive,
        send: Send,
        request_id: str,
    ) -> None:
        began = time.perf_counter()
        try:
            answer, _ = await self._tracker.track(
                route, scope, receive, request_id=request_id
            )
        except ClientLeftError:
            log.info(
                "client left", extra=fields(request_id=request_id, route=route.path)
            )
            self._meters.add(REQUESTS, route.path, UNANSWERED)
            return
        except RequestError as error:
            self._meters.add(REFUSALS, error.code)
            answer = problem_response(error, request_id=request_id)
        except Exception:
            log.exception("request failed", extra=fields(request_id=request_id))
            self._meters.add(REFUSALS, InternalError.code)
            answer = problem_response(
                InternalError("Rollcall failed; whether the events are in is unknown."),
                request_id=request_id,
            )
        # Ahead of the answer, so that whoever has it finds it counted.
        self._meters.count_request(
            route.path, answer.status, time.perf_counter() - began, answer.counts
        )
        await _send(send, answer, request_id, scope)
        self._requests.add(
            request_id=request_id,
            route=route.path,
            status=answer.status,
            source=scope.get(SOURCE),
            milliseconds=_since(began),
            **answer.counts,
        )

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, request_id: str
    ) -> None:
        began = time.perf_counter()
        status = 0

        async def send_named(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (_REQUEST_ID_HEADER, request_id.encode()),
                ]
            await send(message)

        scope.setdefault("state", {})[REQUEST_ID] = request_id
        scope["headers"] = keep_session_cookie(scope["headers"])
        try:
            await self._rest(scope, receive, send_named)
        except Exception:
            # It is answered already: this is how Starlette hands on what it caught.
            log.exception("request failed", extra=fields(request_id=request_id))
            self._meters.add(REFUSALS, InternalError.code)
        self._meters.add(REQUESTS, OTHER, str(status))
        self._requests.add(
            request_id=request_id, status=status, milliseconds=_since(began)
        )


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


async def _send(
    send: Send, answer: TrackResponse, request_id: str, scope: Scope
) -> None:
    headers = [
        (b"content-type", answer.media_type),
        (b"content-length", b"%d" % len(answer.body)),
        (_REQUEST_ID_HEADER, request_id.encode()),
        *answer.headers,
    ]
    whole = {"status": answer.status, "headers": headers, "body": answer.body}
    if ANSWER in scope.get("extensions", ()):
        await send({"type": ANSWER, **whole})
    else:
        await send({"type": "http.response.start", **whole})
        await send({"type": "http.response.body", **whole})

"""The outermost ASGI app: event routes ahead of FastAPI, one log line a request.

FastAPI's stack costs more than handling an event, so these routes are found by path.
A connection of `app.http` asks for them here and skips ASGI; under any other server
this app adapts them.
"""

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.credentials import first_headers
from app.access.session_cookie import keep_session_cookie
from app.ingest.handler import TrackRequest
from app.ingest.lifecycle import Client
from app.ingest.load.bounds import Bound, Slot
from app.ingest.problems import problem_response
from app.ingest.request import RequestHead
from app.ingest.responses import TrackResponse
from app.ingest.routes import MAX_PATH_BYTES, TrackRoute
from app.ingest.services import IngestServices
from app.logs import fields
from app.metrics.catalog import OTHER, REFUSALS, REQUESTS
from app.request_errors import InternalError, OverloadedError

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]

REQUEST_ID = "request_id"
# ASGI extension of `app.http`: called when the client's key or session is known.
TRUST = "trust"
_REQUEST_ID_HEADER = b"x-request-id"
# Probes touch nothing that could be exhausted, and must not wait behind anybody.
_UNBOUNDED = frozenset({"/livez", "/readyz"})
# Requests at a time for anything but events: of known readers, and of anybody else.
_KNOWN_SLOTS = 8
_UNKNOWN_SLOTS = 2
_MAX_WAITING = 64
# Of these the log has method and path, so that a wrong address in a client is found.
_MAX_LOGGED_PATH = 200
_UNPRINTABLE = re.compile("[^ -~]")
_KEY = re.compile("rc_[A-Za-z0-9_-]+")


class Dispatcher:
    """Sends each request to its event route, or to the rest of the app.

    Args:
        routes: for events; each also answers with a trailing slash.
        services: what handles their requests.
        rest: the ASGI app that has every other path, and the lifespan.
        is_known_reader: tells from the headers whether a client has a key or session
            that was live when it was last looked up.
    """

    def __init__(
        self,
        routes: Iterable[TrackRoute],
        *,
        services: IngestServices,
        rest: ASGIApp,
        is_known_reader: Callable[[Headers], bool] = lambda _: False,
    ) -> None:
        self._routes = {
            path.encode(): route
            for route in routes
            for path in (route.path, route.path + "/")
        }
        self._services = services
        self._rest = rest
        self._is_known_reader = is_known_reader
        self._known, self._unknown = (
            Bound(slots, max_waiting=_MAX_WAITING, max_wait_s=services.limits.answer_s)
            for slots in (_KNOWN_SLOTS, _UNKNOWN_SLOTS)
        )
        # Unique, which is all that an id must be, and made without a system call.
        self._id_prefix = secrets.token_hex(8)
        self._ids = itertools.count()

    def begin(self, head: RequestHead, client: Client) -> TrackRequest | None:
        """Begin to handle a request for an event route; None for any other path.

        Args:
            head: the request line and the headers.
            client: gets the response.
        """
        path = head.path
        route = self._routes.get(path) or self._routes.get(_normalised(path))
        if route is None:
            return None
        # By position: by name, a call of a class takes three times as long.
        request = TrackRequest(self._services, route, head, self._new_id(), client)
        request.begin()
        return request

    def shows_known_key(self, data: bytes) -> bool:
        """Whether a known write key is among the first bytes of a connection."""
        return self._services.shows_known_key(data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        client = _AsgiClient(_peer(scope))
        request = self.begin(_head_of(scope), client)
        if request is None:
            await self._pass_on(scope, receive, send)
        else:
            await client.serve(request, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request_id = self._new_id()
        headers = scope["headers"] = keep_session_cookie(scope["headers"])
        scope.setdefault("state", {})[REQUEST_ID] = request_id
        slot = Slot(self._bound_of(scope, headers))
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                slot.end()
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (_REQUEST_ID_HEADER, request_id.encode()),
                ]
            await send(message)

        async def receive_outside() -> Message:
            if status:
                return await receive()
            slot.leave()  # a client that is slow to send keeps nobody waiting
            message = await receive()
            await slot.enter()
            return message

        metrics = self._services.metrics
        try:
            await slot.enter()
            await self._rest(scope, receive_outside, send_named)
        except OverloadedError as error:
            metrics.add(REFUSALS, error.code)
            response = problem_response(error, request_id=request_id)
            status = response.status
            await _send_response(response, request_id, send)
        except Exception:
            # It is answered already: this is how Starlette hands on what it caught.
            log.exception("request failed", extra=fields(request_id=request_id))
            metrics.add(REFUSALS, InternalError.code)
        finally:
            slot.end()
        metrics.add(REQUESTS, OTHER, str(status))
        self._services.requests.add(
            request_id=request_id,
            **_address(scope),
            status=status,
            milliseconds=round((time.perf_counter() - began) * 1000, 3),
            **_reader_key(scope),
            **self._services.origin.fields(
                first_headers(scope["headers"]), _peer(scope)
            ),
        )

    def _bound_of(self, scope: Scope, headers: Headers) -> Bound | None:
        if scope["path"] in _UNBOUNDED:
            return None
        if not self._is_known_reader(headers):
            return self._unknown
        scope.get("extensions", {}).get(TRUST, _nothing)()
        return self._known

    def _new_id(self) -> str:
        return f"{self._id_prefix}{next(self._ids):016x}"


class _AsgiClient:
    """Adapts ASGI's `receive` and `send` to a request that is pushed in."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self._response: asyncio.Future[tuple[TrackResponse, str]] = (
            asyncio.get_running_loop().create_future()
        )

    def respond(self, response: TrackResponse, request_id: str) -> None:
        """From the handler."""
        if not self._response.done():
            self._response.set_result((response, request_id))

    def invite_body(self) -> None:
        """The server does that, when it is asked for the body."""

    def hold(self, *, held: bool) -> None:
        """The server holds the body until it is asked for it."""

    def trust(self) -> None:
        """Of no use here."""

    def back_off(self, seconds: float) -> None:
        """The server reads ahead as it likes."""

    async def serve(self, request: TrackRequest, receive: Receive, send: Send) -> None:
        """Push the body in, and send the response."""
        more = True
        while more and not request.is_done:
            message = await receive()
            if message["type"] == "http.disconnect":
                request.disconnect()
                return
            request.feed(message.get("body", b""))
            more = message.get("more_body", False)
        if not more:
            request.end(asyncio.get_running_loop().time())
        await _send_response(*await self._response, send)


async def _send_response(response: TrackResponse, request_id: str, send: Send) -> None:
    headers = [
        (b"content-type", response.media_type),
        (b"content-length", b"%d" % len(response.body)),
        (_REQUEST_ID_HEADER, request_id.encode()),
        *response.headers,
    ]
    status = response.status
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _nothing() -> None:
    """A server without the extension."""


def _normalised(path: bytes) -> bytes:
    """A path with percent-encoded letters decoded and repeated slashes as one."""
    if b"%" in path and len(path) <= MAX_PATH_BYTES:
        path = unquote_to_bytes(path)
    while b"//" in path:
        path = path.replace(b"//", b"/")
    return path


def _reader_key(scope: Scope) -> dict[str, str]:
    """Id of the reader's key, for the log."""
    reader = scope["state"].get("access")
    return {} if reader is None else {"key": reader.key_id}


def _head_of(scope: Scope) -> RequestHead:
    headers = list(scope["headers"])
    return RequestHead(
        method=scope["method"].encode(),
        path=scope.get("raw_path") or scope["path"].encode(),
        query=scope["query_string"],
        version=scope["http_version"],
        headers=headers,
        first=first_headers(headers),
        expects_continue=False,  # the server does that
    )


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _address(scope: Scope) -> dict[str, str]:
    """Method and path for the log: cut, printable, and without a key."""
    path = _KEY.sub("rc_...", scope["path"])[:_MAX_LOGGED_PATH]
    return {
        "method": _UNPRINTABLE.sub("?", scope["method"])[:20],
        "path": _UNPRINTABLE.sub("?", path),
    }

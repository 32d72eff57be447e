"""The host names under which pages, reference and read API are served.

A page of another site can have a browser resolve its own name to this service (DNS
rebinding); requests under a name that is not expected are refused. Events, probes and
metrics are sent by programs and not affected.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from app.api.security_headers import SecurityHeaders
from app.ingest.problems import problem_response
from app.request_errors import InvalidHostError

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ANY_HOST = frozenset({"/livez", "/readyz", "/metrics"})


class AllowedHosts:
    """ASGI middleware that refuses requests under other host names.

    Args:
        app: responds to the others.
        hosts: names without a port; `*.example.com` stands for all below it. Without
            any, every name is allowed.
    """

    def __init__(self, app: App, hosts: Sequence[str]) -> None:
        self._app = app
        self._refusal = SecurityHeaders(_refuse)
        self._hosts = frozenset(host.lower() for host in hosts if host[:2] != "*.")
        self._suffixes = tuple(host[1:].lower() for host in hosts if host[:2] == "*.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_allowed = (
            scope["type"] != "http"
            or scope["path"] in _ANY_HOST
            or self._allows(_host_of(scope["headers"]))
        )
        app = self._app if is_allowed else self._refusal
        await app(scope, receive, send)

    def _allows(self, host: str) -> bool:
        if not self._hosts and not self._suffixes:
            return True
        return host in self._hosts or host.endswith(self._suffixes or ("\0",))


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    error = InvalidHostError(
        "This host name is not in ROLLCALL_ALLOWED_HOSTS; events are accepted under "
        "every name."
    )
    request_id = scope.get("state", {}).get("request_id", "")
    response = problem_response(error, request_id=request_id)
    headers = [
        (b"content-type", response.media_type),
        (b"content-length", b"%d" % len(response.body)),
    ]
    start = {"status": response.status, "headers": headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": response.body})


def _host_of(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The host name that was asked for, without its port."""
    for name, value in headers:
        if name == b"host":
            host = value.decode("latin-1").lower()
            if host.startswith("["):
                return host.partition("]")[0] + "]"
            return host.partition(":")[0]
    return ""

"""The host names under which pages, reference and read API are served.

A page of another site can have a browser resolve its own name to this service (DNS
rebinding); requests under a name that is not expected are refused. Events, probes and
metrics are sent by programs and not affected.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.refusal import refuse
from app.request_errors import InvalidHostError

_ANY_HOST = frozenset({"/livez", "/readyz", "/metrics"})
_NOT_LISTED = (
    "This host name is not in ROLLCALL_ALLOWED_HOSTS; events are accepted under "
    "every name."
)


class AllowedHosts:
    """ASGI middleware that refuses requests under other host names.

    Args:
        app: responds to the others.
        hosts: names without a port; `*.example.com` stands for all below it. Without
            any, every name is allowed.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts if host[:2] != "*.")
        self._suffixes = tuple(host[1:].lower() for host in hosts if host[:2] == "*.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_allowed = (
            scope["type"] != "http"
            or scope["path"] in _ANY_HOST
            or self._allows(_host_of(scope["headers"]))
        )
        if is_allowed:
            await self._app(scope, receive, send)
        else:
            await refuse(InvalidHostError(_NOT_LISTED), scope, receive, send)

    def _allows(self, host: str) -> bool:
        if not self._hosts and not self._suffixes:
            return True
        return host in self._hosts or host.endswith(self._suffixes)


def _host_of(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The host name that was asked for, without its port."""
    sent = next((value for name, value in headers if name == b"host"), b"")
    host = sent.decode("latin-1").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]

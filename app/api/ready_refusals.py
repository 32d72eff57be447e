"""Refusals that need no route of FastAPI, whose search for one costs most of them.

Scanners ask for paths that this service does not have, and clients without a key may
read again and again. Browsers get the pages of FastAPI's error handlers instead.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.credentials import is_anonymous
from app.access.readers import key_required
from app.api.metrics import no_scraping_key
from app.api.refusal import refuse
from app.ingest.routes import nothing_at_this_path
from app.request_errors import RequestError

_READ_PATHS = frozenset({"/v1/events", "/v1/rejected"})


class ReadyRefusals:
    """ASGI middleware for paths without a route, and for readers without a key.

    Args:
        app: responds to all other requests.
        paths: of its routes, such as `/events/{name}`.
    """

    def __init__(self, app: ASGIApp, paths: Iterable[str]) -> None:
        self._app = app
        self._first_names = frozenset(map(_first_name, paths))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        error = self._error_of(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await refuse(error, scope, receive, send)

    def _error_of(self, scope: Scope) -> RequestError | None:
        path: str = scope["path"]
        headers = scope["headers"]
        if any(name == b"accept" and b"text/html" in value for name, value in headers):
            return None
        if _first_name(path) not in self._first_names:
            return nothing_at_this_path()
        if scope["method"] != "GET" or not is_anonymous(headers):
            return None
        parent, _, name = path.rpartition("/")
        if path in _READ_PATHS or (name and parent in _READ_PATHS):
            return key_required()
        return no_scraping_key() if path == "/metrics" else None


def _first_name(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]

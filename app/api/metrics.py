"""`/metrics`: the figures of all workers, for whoever has a read key."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.access.credentials import first_headers, key_from_headers
from app.access.key_cache import KeyCache
from app.api.openapi import problem_responses
from app.errors import SchemaError, UnauthorizedError, UnavailableError
from app.metrics.board import Board
from app.metrics.catalog import DATABASE_UP
from app.metrics.exposition import expose
from app.metrics.meters import Meters
from app.store.keys.keys import hash_key


class _Scrapers:
    """Who may read the figures: whoever has a read key.

    A key that was good when Postgres last answered is good while it is away: that is
    when the figures are needed.
    """

    def __init__(self, key_cache: KeyCache) -> None:
        self._keyring = key_cache
        # Only keys that were made by operators come in here, so they are few.
        self._good: set[bytes] = set()

    async def check(self, headers: dict[bytes, bytes]) -> None:
        """Return where the headers carry a read key.

        Raises:
            UnauthorizedError: they do not.
            UnavailableError: nobody can say.
        """
        key = key_from_headers(headers)
        if key is None:
            raise UnauthorizedError("Send a read key: `Authorization: Bearer KEY`.")
        digest = hash_key(key)
        try:
            reader = await self._keyring.source_of(key)
        except UnavailableError:
            if digest in self._good:
                return
            raise
        if reader is None:
            self._good.discard(digest)
            raise UnauthorizedError("This is no read key, or it is revoked.")
        self._good.add(digest)


def metrics_routes(
    key_cache: KeyCache,
    *,
    board: Board,
    meters: Meters,
    check_database: Callable[[], Awaitable[None]],
) -> APIRouter:
    """`/metrics`.

    Args:
        key_cache: knows the read keys.
        board: has the figures of all workers.
        meters: this worker's.
        check_database: raises UnavailableError or SchemaError where it takes no writes.
    """
    scrapers = _Scrapers(key_cache)
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/metrics",
        summary="The figures of all workers, for Prometheus",
        description="Needs a read key.",
        response_class=PlainTextResponse,
        responses=problem_responses(401, 503),
        openapi_extra={"security": [{"bearer": []}]},
    )
    async def metrics(request: Request) -> Response:
        await scrapers.check(first_headers(request.scope["headers"]))
        up = await _is_up(check_database)
        meters.publish()
        text, content_type = expose(
            board,
            accept=request.headers.get("accept", ""),
            version=request.app.version,
            probed={DATABASE_UP: float(up)},
        )
        return Response(text, headers={"Content-Type": content_type})

    return routes


async def _is_up(check_database: Callable[[], Awaitable[None]]) -> bool:
    try:
        await check_database()
    except (UnavailableError, SchemaError):
        return False
    return True

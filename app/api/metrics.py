"""`/metrics`: metrics of all workers, for clients with a read key."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.access.credentials import first_headers, key_from_headers
from app.access.key_cache import KeyCache
from app.api.openapi import problem_responses
from app.errors import SchemaError
from app.metrics.collector import expose
from app.metrics.counters import Metrics
from app.request_errors import UnauthorizedError, UnavailableError
from app.store.keys.scopes import Reader, may_scrape


def metrics_routes(
    key_cache: KeyCache[Reader],
    *,
    metrics: Metrics,
    check_database: Callable[[], Awaitable[None]],
) -> APIRouter:
    """Route `/metrics`.

    Args:
        key_cache: all keys but write keys.
        metrics: of this worker.
        check_database: raises UnavailableError or SchemaError if it takes no writes.
    """
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/metrics",
        summary="Metrics of all workers, for Prometheus",
        description="Needs a key of the scope `metrics` or `read`.",
        response_class=PlainTextResponse,
        responses=problem_responses(401, 503),
        openapi_extra={"security": [{"bearer": []}]},
    )
    async def scrape(request: Request) -> Response:
        await _check(key_cache, first_headers(request.scope["headers"]))
        try:
            await check_database()
            is_up = True
        except (UnavailableError, SchemaError):
            is_up = False
        accept = request.headers.get("accept", "")
        text, content_type = expose(metrics, accept=accept, database_up=is_up)
        return Response(text, headers={"Content-Type": content_type})

    return routes


def no_scraping_key() -> UnauthorizedError:
    """The error for a client without a key."""
    return UnauthorizedError(
        "Send a key of the scope metrics or read: `Authorization: Bearer KEY`."
    )


async def _check(key_cache: KeyCache[Reader], headers: dict[bytes, bytes]) -> None:
    """Require a key that may scrape, as of the last look-up during an outage.

    Raises:
        UnauthorizedError: the headers carry none.
        UnavailableError: the key is unknown and the database does not answer.
    """
    key = key_from_headers(headers)
    if key is None:
        raise no_scraping_key()
    # Metrics are needed most during an outage.
    reader = await key_cache.source_or_last(key)
    if reader is None or not may_scrape(reader.scope):
        raise UnauthorizedError(
            "The key is unknown, expired or revoked, or its scope is not one of "
            "metrics, read, operate and erase."
        )

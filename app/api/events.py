"""The read API: stored and rejected events in pages, the newest first."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.access.readers import ReaderAuth, source_limit
from app.api.cursor import read_cursor, write_cursor
from app.api.openapi import READER_SECURITY, problem_responses
from app.api.query import EventQuery, PageQuery, RejectedQuery
from app.api.rows import (
    EventPage,
    RejectedPage,
    StoredEvent,
    StoredRejection,
    ndjson,
    one_json,
    page_json,
)
from app.request_errors import ForbiddenError, InvalidParameterError, NotFoundError
from app.store.read.events import read_page
from app.store.read.filters import EventFilter, RejectedFilter
from app.store.read.limiter import QueryLimiter

_JSON = "application/json"
_NDJSON = "application/x-ndjson"
_NEXT = "X-Next-Cursor"
_PAGE: dict[str, Any] = {
    "responses": problem_responses(400, 401, 503)
    | {
        200: {
            "description": "A page; as NDJSON, its cursor is in a header",
            "headers": {_NEXT: {"schema": {"type": "string"}}},
            "content": {_NDJSON: {"schema": {"type": "string"}}},
        }
    },
    "openapi_extra": {"security": READER_SECURITY},
}
_ONE: dict[str, Any] = {
    "responses": problem_responses(401, 404, 503),
    "openapi_extra": {"security": READER_SECURITY},
}


def read_routes(readers: ReaderAuth, queries: QueryLimiter) -> APIRouter:
    """`/v1/events` and `/v1/rejected`, and one row of each by its id."""
    routes = APIRouter(
        prefix="/v1",
        tags=["reading"],
        dependencies=[Depends(readers.require_source_reader), Depends(_no_repeats)],
    )

    async def one_of(wanted: EventFilter | RejectedFilter) -> Response:
        page = await queries.ask(partial(read_page, wanted=wanted, limit=1))
        if not page.rows:
            raise NotFoundError("There is no such event.")
        return Response(one_json(page.rows[0]), media_type=_JSON)

    @routes.get("/events", summary="Stored events", response_model=EventPage, **_PAGE)
    async def events(
        request: Request, query: Annotated[EventQuery, Query()]
    ) -> Response:
        wanted = EventFilter(**_allowed(request, query.filters()))
        return await _page(request, query, queries, wanted)

    @routes.get(
        "/rejected", summary="Rejected events", response_model=RejectedPage, **_PAGE
    )
    async def rejected(
        request: Request, query: Annotated[RejectedQuery, Query()]
    ) -> Response:
        wanted = RejectedFilter(**_allowed(request, query.filters()))
        return await _page(request, query, queries, wanted)

    @routes.get(
        "/events/{id}", summary="A stored event", response_model=StoredEvent, **_ONE
    )
    async def event(
        request: Request, event_id: Annotated[UUID, Path(alias="id")]
    ) -> Response:
        wanted = EventFilter(**_allowed(request, {"id": event_id}))
        return await one_of(wanted)

    @routes.get(
        "/rejected/{id}",
        summary="A rejected event",
        response_model=StoredRejection,
        **_ONE,
    )
    async def rejection(
        request: Request, rejection_id: Annotated[UUID, Path(alias="id")]
    ) -> Response:
        wanted = RejectedFilter(**_allowed(request, {"id": rejection_id}))
        return await one_of(wanted)

    return routes


async def _no_repeats(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) > len({*names}):
        raise InvalidParameterError("Each query parameter may be there once.")


def _allowed(request: Request, filters: dict[str, Any]) -> dict[str, Any]:
    """Limit the filters to the source of a key with the scope `read:SOURCE`."""
    source = source_limit(request)
    if source is None:
        return filters
    if filters.get("source") not in (None, source):
        raise ForbiddenError(f"This key reads only the source {source}.")
    return {**filters, "source": source}


async def _page(
    request: Request,
    query: PageQuery,
    queries: QueryLimiter,
    wanted: EventFilter | RejectedFilter,
) -> Response:
    # A cursor is bound to the route and to the selection of rows.
    bound = [request.url.path, query.model_dump(mode="json", exclude=query.FORM)]
    before = None
    if query.cursor is not None:
        before = read_cursor(query.cursor, query=bound)
    page = await queries.ask(
        partial(read_page, wanted=wanted, before=before, limit=query.limit)
    )
    cursor = page.last and write_cursor(page.last, query=bound)
    accepted = request.headers.get("accept", "")
    if query.format == "ndjson" or (query.format is None and _NDJSON in accepted):
        headers = {_NEXT: cursor} if cursor else None
        return Response(ndjson(page.rows), media_type=_NDJSON, headers=headers)
    return Response(page_json(page.rows, cursor), media_type=_JSON)

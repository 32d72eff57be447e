"""The read API: what is stored, in pages, the newest first."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias
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
    page_json,
    row_json,
)
from app.request_errors import ForbiddenError, InvalidParameterError, NotFoundError
from app.store.read.events import (
    EventRow,
    KeysetPosition,
    Page,
    RejectedRow,
    read_events,
    read_rejected,
)
from app.store.read.filters import EventFilter, RejectedFilter
from app.store.read.limiter import QueryLimiter

_NDJSON = "application/x-ndjson"
_NEXT = "X-Next-Cursor"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
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

# Reads the rows that match, a place in their order and a limit given.
_Read: TypeAlias = Callable[..., Awaitable[Page[EventRow] | Page[RejectedRow]]]


def read_routes(readers: ReaderAuth, turns: QueryLimiter) -> APIRouter:
    """`/v1/events` and `/v1/rejected`, and one row of each by its id."""
    routes = APIRouter(
        prefix="/v1",
        tags=["reading"],
        dependencies=[Depends(readers.required_for_a_source), Depends(_no_repeats)],
    )

    async def page_of(read: _Read, query: PageQuery, request: Request) -> Response:
        before = _place(query, request)
        page = await turns.ask(partial(read, before=before, limit=query.limit))
        return _answer(request, query, page.rows, page.last)

    async def one_of(read: _Read) -> Response:
        page = await turns.ask(partial(read, limit=1))
        if not page.rows:
            raise NotFoundError("There is no such event.")
        return _json(row_json(page.rows[0]))

    @routes.get("/events", summary="Stored events", response_model=EventPage, **_PAGE)
    async def events(
        request: Request, query: Annotated[EventQuery, Query()]
    ) -> Response:
        wanted = EventFilter(**_allowed(request, query.filters()))
        return await page_of(partial(read_events, wanted=wanted), query, request)

    @routes.get(
        "/rejected", summary="Rejected events", response_model=RejectedPage, **_PAGE
    )
    async def rejected(
        request: Request, query: Annotated[RejectedQuery, Query()]
    ) -> Response:
        wanted = RejectedFilter(**_allowed(request, query.filters()))
        return await page_of(partial(read_rejected, wanted=wanted), query, request)

    @routes.get(
        "/events/{id}", summary="A stored event", response_model=StoredEvent, **_ONE
    )
    async def event(
        request: Request, event_id: Annotated[UUID, Path(alias="id")]
    ) -> Response:
        wanted = EventFilter(**_allowed(request, {"id": event_id}))
        return await one_of(partial(read_events, wanted=wanted))

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
        return await one_of(partial(read_rejected, wanted=wanted))

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


def _query_of(query: PageQuery, request: Request) -> list[object]:
    """What a cursor is bound to: the route, and which rows are read."""
    return [request.url.path, query.model_dump(mode="json", exclude=query.FORM)]


def _place(query: PageQuery, request: Request) -> KeysetPosition | None:
    if query.cursor is None:
        return None
    return read_cursor(query.cursor, query=_query_of(query, request))


def _answer(
    request: Request,
    query: PageQuery,
    rows: Sequence[EventRow | RejectedRow],
    last: KeysetPosition | None,
) -> Response:
    cursor = last and write_cursor(last, query=_query_of(query, request))
    accepted = request.headers.get("accept", "")
    if query.format == "ndjson" or (query.format is None and _NDJSON in accepted):
        headers = _HEADERS | ({_NEXT: cursor} if cursor else {})
        return Response(ndjson(rows), media_type=_NDJSON, headers=headers)
    return _json(page_json(rows, cursor))


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json", headers=_HEADERS)

"""`/rejected`: the quarantine as a list and one page for each event."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from app.api.cursor import read_cursor, write_cursor
from app.api.query import FormInstant, FormText
from app.pages.console.known_names import KnownNames
from app.pages.console.operators import Operators
from app.pages.render import Pages
from app.pipeline.issues import ErrorCode, Issue
from app.store.quarantine.queries import count_selection
from app.store.quarantine.replay_runs import ReplayRuns
from app.store.read.events import EventRow, find_rejected, read_page
from app.store.read.filters import RejectedFilter
from app.store.read.limiter import QueryLimiter

_LISTED = 50
_HIDDEN = {"cursor", "state"}


class RejectedListQuery(BaseModel):
    """Filter of the list."""

    model_config = ConfigDict(frozen=True)

    reason: FormText = None
    source: FormText = None
    event: FormText = None
    since: FormInstant = None
    until: FormInstant = None
    state: Literal["waiting", "corrected"] = "waiting"
    cursor: str | None = None

    def as_filter(self) -> RejectedFilter:
        """For the list, and for counting, replaying and purging."""
        given = self.model_dump(exclude=_HIDDEN)
        return RejectedFilter(**given, is_corrected=self.state == "corrected")

    def fields(self) -> dict[str, str]:
        """The filter as fields of a form or a link."""
        values = self.model_dump(mode="json", exclude=_HIDDEN, exclude_none=True)
        return {name: str(value) for name, value in values.items()}


def rejected_routes(
    pages: Pages,
    *,
    operators: Operators,
    queries: QueryLimiter,
    names: KnownNames,
    replays: ReplayRuns,
) -> APIRouter:
    """`/rejected` and `/rejected/{id}`, for operators with the forms of actions."""
    may_read = Depends(operators.readers.require_page_reader)
    routes = APIRouter(include_in_schema=False, dependencies=[may_read])

    @routes.get("/rejected")
    async def show_list(
        request: Request, query: Annotated[RejectedListQuery, Query()]
    ) -> Response:
        bound = query.model_dump(mode="json", exclude={"cursor"})
        before = read_cursor(query.cursor, query=bound) if query.cursor else None
        wanted = query.as_filter()
        page = await queries.ask(
            partial(read_page, wanted=wanted, before=before, limit=_LISTED)
        )
        counts = await queries.ask(partial(count_selection, selection=wanted))
        return await pages.render(
            "console/rejected_list.html",
            request=request,
            query=query,
            fields=query.fields(),
            rows=[(row, orjson.loads(str(row.errors))) for row in page.rows],
            counts=counts,
            next_cursor=page.last and write_cursor(page.last, query=bound),
            can_operate=await operators.may(request),
            names=names,
            sources=await names.sources(),
            replay=replays.read(),
        )

    @routes.get("/rejected/{id_}")
    async def show_one(request: Request, id_: UUID) -> Response:
        row = await queries.ask(partial(find_rejected, id_=id_))
        return await show_event(
            pages, request, row, can_operate=await operators.may(request)
        )

    return routes


async def show_event(
    pages: Pages,
    request: Request,
    row: EventRow,
    *,
    can_operate: bool,
    refused: tuple[str, Sequence[Issue]] | None = None,
) -> Response:
    """The page of one rejected event.

    `refused` is an operator's payload that was just refused, and why.
    """
    payload, failures = refused or (row.payload, ())
    return await pages.render(
        "console/rejected_event.html",
        request=request,
        status=422 if failures else 200,
        row=row,
        errors=orjson.loads(str(row.errors)),
        warnings=orjson.loads(str(row.warnings)),
        payload=payload,
        failures=failures,
        can_operate=can_operate,
        is_replayable=not row.truncated and row.reason != ErrorCode.ID_CONFLICT,
    )

"""`/overview`: what was stored and rejected of late, and the SQL that says so."""

from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from app.access.readers import ReaderAuth
from app.api.query import Wanted
from app.pages.overview_cache import ReportCache
from app.pages.overview_chart import HEIGHT, WIDTH, day_chart
from app.pages.render import Pages
from app.store.read.events import read_rejected
from app.store.read.filters import RejectedFilter
from app.store.read.limiter import QueryLimiter

_LISTED = 100


class ListQuery(BaseModel):
    """Which rejected events to list; without a reason, all."""

    reason: Wanted


def overview_routes(
    pages: Pages, *, readers: ReaderAuth, overview: ReportCache, turns: QueryLimiter
) -> APIRouter:
    """`/overview`, and what was rejected for one reason."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(readers.on_page)])

    @routes.get("/overview")
    async def latest(request: Request) -> Response:
        figures = await overview.figures()
        days = figures.days.rows
        return pages.render(
            "overview.html",
            request=request,
            figures=figures,
            chart=day_chart(days) if days else None,
            width=WIDTH,
            height=HEIGHT,
        )

    @routes.get("/overview/rejected")
    async def rejected(
        request: Request, query: Annotated[ListQuery, Query()]
    ) -> Response:
        wanted = RejectedFilter(reason=query.reason or None)
        page = await turns.ask(partial(read_rejected, wanted=wanted, limit=_LISTED))
        return pages.render(
            "overview_rejected.html",
            request=request,
            reason=wanted.reason,
            rows=[(row, orjson.loads(row.errors)) for row in page.rows],
            more=page.last is not None,
        )

    return routes

"""`/overview`: what was stored and rejected of late, and the SQL that says so."""

from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from app.api.pages.overview_chart import HEIGHT, WIDTH, day_chart
from app.api.pages.overview_figures import Overview
from app.api.pages.render import Pages
from app.api.read_query import Wanted
from app.api.reader import Readers
from app.store.reading import read_rejected
from app.store.reading_filters import RejectedFilter
from app.store.reading_turns import ReadingTurns

_LISTED = 100


class ListQuery(BaseModel):
    """Which rejected events to list; without a reason, all."""

    reason: Wanted


def overview_routes(
    pages: Pages, *, readers: Readers, overview: Overview, turns: ReadingTurns
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

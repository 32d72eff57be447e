"""`/overview`: charts of events, and reports with the SQL that made them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.access.readers import ReaderAuth
from app.pages.charts import Chart, Scale, Series, bar_chart
from app.pages.render import Pages
from app.pages.report_cache import ReportCache
from app.store.read.reports import (
    DELAY,
    DROPPED,
    EVENTS_BY_SPAN,
    REJECTED_BY_REASON,
    SOURCES,
    WARNINGS_BY_CODE,
    ReportRunner,
    Span,
)

_AXIS_FORMAT: dict[Span, str] = {
    "hour": "%H:%M",
    "day": "%H:%M",
    "week": "%b %d",
    "quarter": "%b %d",
}
_TABLES = {
    "sources": SOURCES,
    "rejected": REJECTED_BY_REASON,
    "dropped": DROPPED,
    "warnings": WARNINGS_BY_CODE,
    "delay": DELAY,
}


def overview_routes(
    pages: Pages, *, readers: ReaderAuth, runner: ReportRunner, events: Iterable[str]
) -> APIRouter:
    """`/overview`, with a chart for each event of the catalog."""
    routes = APIRouter(include_in_schema=False)
    lock = asyncio.Lock()
    tables = ReportCache(runner, _TABLES, lock=lock)
    counts = {
        span: ReportCache(runner, {"events": report}, lock=lock)
        for span, report in EVENTS_BY_SPAN.items()
    }

    @routes.get("/overview", dependencies=[Depends(readers.require_page_reader)])
    async def show(
        request: Request, span: Span = "week", scale: Scale = "linear"
    ) -> Response:
        rows = (await counts[span].results()).rows["events"]
        charts = None
        if rows is not None:
            charts = event_charts(rows, events, span=span, scale=scale)
        return await pages.render(
            "console/overview.html",
            request=request,
            span=span,
            spans=list(EVENTS_BY_SPAN),
            scale=scale,
            charts=charts,
            counted=EVENTS_BY_SPAN[span],
            reports=_TABLES,
            results=await tables.results(),
        )

    return routes


def event_charts(
    rows: Sequence[dict[str, Any]], names: Iterable[str], *, span: Span, scale: Scale
) -> list[Chart]:
    """One chart for each event: those of the catalog first, then any other found."""
    counts: dict[str, dict[datetime, tuple[int, int]]] = defaultdict(dict)
    times: dict[datetime, None] = {}
    for row in rows:
        at = row["bucket"].astimezone(UTC)
        times[at] = None
        if row["event"] is not None:
            counts[row["event"]][at] = row["live"], row["imported"]
    charts = []
    labels = [
        f"{at:%Y-%m-%d}" if span == "quarter" else f"{at:%Y-%m-%d %H:%M}"
        for at in times
    ]
    axis = [at.strftime(_AXIS_FORMAT[span]) for at in times]
    for name in dict.fromkeys([*names, *counts]):
        found = [counts[name].get(at, (0, 0)) for at in times]
        series = [Series("sent", [live for live, _ in found])]
        if any(imported for _, imported in found):
            series.append(Series("imported", [imported for _, imported in found]))
        charts.append(bar_chart(name, labels, series, axis=axis, scale=scale))
    return charts

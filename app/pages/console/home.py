"""`/`: state of the service for readers, and a start page for everybody else."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.access.readers import ReaderAuth
from app.pages.charts import duration
from app.pages.console.state import State, StateReader
from app.pages.render import Pages
from app.pages.report_cache import ReportCache, Results
from app.request_errors import OverloadedError, ReaderRequiredError, UnavailableError
from app.store.instances import Difference
from app.store.read.reports import ACTIVITY, REASONS, WEEKS

# Sources that sent something within the week are silent after this time.
_SILENT_AFTER = timedelta(hours=1)
_BUCKETS = 48
_SPARKLINE_HEIGHT = 24
HOME_REPORTS = {"activity": ACTIVITY, "reasons": REASONS, "weeks": WEEKS}


def home_routes(
    pages: Pages,
    *,
    readers: ReaderAuth,
    state_reader: StateReader,
    reports: ReportCache,
    differences: Callable[[], Sequence[Difference]],
) -> APIRouter:
    """`/` and `/state`.

    `reports` runs HOME_REPORTS, and `differences` returns the settings in which running
    instances differ.
    """
    routes = APIRouter(include_in_schema=False)

    async def read() -> tuple[State, Results | None]:
        state = await state_reader.read()
        if state.mode in {"buffering", "refusing"}:
            # Counting would only wait for Postgres once more.
            return state, reports.last
        return state, await reports.results_or_last()

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def show(request: Request) -> Response:
        try:
            reader = await readers.find_known(request)
        except (ReaderRequiredError, UnavailableError, OverloadedError):
            reader = None
        if reader is None:
            return await pages.render("home.html", request=request)
        state, results = await read()
        return await pages.render(
            "console/state.html",
            request=request,
            state=state,
            results=results,
            sources=sources_of(results),
            cells=cells_of(state, results),
            version=request.app.version,
            differences=differences(),
        )

    @routes.get("/state")
    async def show_state(request: Request) -> Response:
        if await readers.find_known(request) is None:
            raise ReaderRequiredError("Sign in to read the state of the service.")
        state, results = await read()
        points = {each["source"]: each["points"] for each in sources_of(results)}
        return JSONResponse(
            {"mode": state.mode, "cells": cells_of(state, results), "points": points}
        )

    return routes


def sources_of(results: Results | None) -> list[dict[str, Any]]:
    """Activity of each source, the most active first.

    The columns of `ACTIVITY`, and `age`: the time since the last event, in words,
    `is_silent`: whether the source stopped sending, and `points` of the sparkline.
    """
    rows = results.rows["activity"] if results else None
    return [row | _activity_of(row) for row in rows or ()]


def _activity_of(row: dict[str, Any]) -> dict[str, Any]:
    silence = row["at"] - row["last"]
    counts = [0] * _BUCKETS
    for age, count in zip(row["ages"], row["counts"], strict=True):
        counts[min(_BUCKETS - 1, max(0, _BUCKETS - round(age)))] += count
    return {
        "age": duration(max(0.0, silence.total_seconds())),
        "is_silent": silence > _SILENT_AFTER,
        "points": sparkline(counts),
    }


def sparkline(counts: Sequence[int]) -> str:
    """Points of a line in a picture of 100 by 24."""
    most = max(1, *counts)
    step = 100 / (len(counts) - 1)
    height = _SPARKLINE_HEIGHT - 2
    return " ".join(
        f"{number * step:.1f},{1 + height * (1 - count / most):.1f}"
        for number, count in enumerate(counts)
    )


def cells_of(state: State, results: Results | None) -> dict[str, str]:
    """Text of each cell of the page that a script keeps up to date, by its name."""
    cells = {
        "title": state.title,
        "explanation": state.explanation,
        "since": _time(state.since) + ("" if state.is_exact else " or earlier"),
        "waiting": f"{state.waiting:,}",
        "room": _room(state),
        "reports": _time(results.at) if results else "not yet",
    }
    if results is None:
        return cells
    weeks = results.rows["weeks"]
    cells["weeks"] = str(weeks[0]["weeks"]) if weeks else "not known"
    for each in sources_of(results):
        place = f"source {each['source']}"
        for name in ("minute", "hour", "day"):
            cells[f"{place} {name}"] = f"{each[name]:,}"
        cells[f"{place} age"] = each["age"]
        cells[f"{place} silent"] = "silent" if each["is_silent"] else ""
    for row in results.rows["reasons"] or ():
        for name in ("minute", "hour", "day", "week"):
            cells[f"reason {row['reason']} {name}"] = f"{row[name]:,}"
    return cells


def _room(state: State) -> str:
    if not state.limit_bytes:
        return "no journal"
    free = max(0, state.limit_bytes - state.used_bytes) / 2**20
    return f"{free:,.0f} of {state.limit_bytes / 2**20:,.0f} MiB free"


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"

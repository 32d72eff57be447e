"""`/rejected/replay`: start a replay, and see its progress, also on return."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from markupsafe import Markup

from app.pages.console.actions import read_selection
from app.pages.console.operators import Operators
from app.pages.render import Pages
from app.request_errors import OverloadedError
from app.store.quarantine.actions import QuarantineActions
from app.store.quarantine.replay_runs import Phase, ReplayRuns, ReplayState

# The marker in the template at which progress is inserted.
_PROGRESS = "<!-- progress -->"
_LOOK_EVERY_S = 0.25
_BUSY = (
    "A replay is running already, and `/rejected/replay` shows its progress. This "
    "request started none: replay your selection when the other replay has ended."
)
_ENDING = "The service is ending; replay the events when it serves again."
_ENDS: dict[Phase, str] = {
    "stopped": "The replay was stopped, because the service ended. What is counted "
    "above is stored; replay the others again.",
    "failed": "The database did not respond. What is counted above is stored; replay "
    "the others again.",
}


def replay_routes(
    pages: Pages, *, operators: Operators, actions: QuarantineActions, runs: ReplayRuns
) -> APIRouter:
    """GET and POST `/rejected/replay`."""
    routes = APIRouter(include_in_schema=False)

    @routes.post("/rejected/replay")
    async def start(request: Request) -> Response:
        actor, form = await operators.read_action(request)
        selection, counts = await read_selection(actions, form)
        run = partial(actions.replay, selection, actor=actor)
        if not runs.start(run, actor=actor, total=counts.replayable):
            raise OverloadedError(_ENDING if runs.is_ending else _BUSY)
        return RedirectResponse("/rejected/replay", 303)

    @routes.get(
        "/rejected/replay",
        dependencies=[Depends(operators.readers.require_page_reader)],
    )
    async def show(request: Request) -> Response:
        page = await pages.render(
            "console/rejected_replay.html", request=request, run=runs.read()
        )
        return _stream(page, _progress(runs))

    return routes


async def _progress(runs: ReplayRuns) -> AsyncIterator[str]:
    """HTML of each new number of processed events, and of the result."""
    shown = 0
    while (run := runs.read()) is not None:
        if run.processed > shown or run.phase != "running":
            shown = run.processed
            yield Markup("<li>{:,} of {:,} processed</li>\n").format(shown, run.total)
        if run.phase != "running":
            yield _result(run)
            return
        if runs.is_ending:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _result(run: ReplayState) -> str:
    text = Markup(
        '<li id="result"><strong>{:,} stored, {:,} already stored, {:,} still '
        "rejected.</strong></li>\n"
    ).format(run.stored, run.duplicates, run.rejected)
    for reason, count in sorted(run.reasons.items(), key=lambda each: -each[1]):
        text += Markup("<li>{:,} <code>{}</code></li>\n").format(count, reason)
    if end := _ENDS.get(run.phase):
        text += Markup('<li class="notice notice-error">{}</li>\n').format(end)
    return text


def _stream(page: Response, items: AsyncIterator[str]) -> Response:
    head, _, tail = bytes(page.body).decode().partition(_PROGRESS)

    async def chunks() -> AsyncIterator[str]:
        yield head
        async for item in items:
            yield item
        yield tail

    headers = {k: v for k, v in page.headers.items() if k != "content-length"}
    headers["X-Accel-Buffering"] = "no"
    return StreamingResponse(chunks(), headers=headers)

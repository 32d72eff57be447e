"""Actions on rejected events: check, correct and purge."""

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import ValidationError

from app.pages.console.operators import Operators
from app.pages.console.rejected import RejectedListQuery, show_event
from app.pages.forms import Form, value_of
from app.pages.render import Pages
from app.request_errors import InvalidParameterError
from app.store.quarantine.actions import QuarantineActions
from app.store.quarantine.correct import Correction
from app.store.quarantine.queries import SelectionCounts
from app.store.read.events import find_rejected
from app.store.read.filters import RejectedFilter
from app.store.read.limiter import QueryLimiter

_FILTER = ("reason", "source", "event", "since", "until")


def action_routes(
    pages: Pages,
    *,
    operators: Operators,
    actions: QuarantineActions,
    queries: QueryLimiter,
) -> APIRouter:
    """POST routes below `/rejected`."""
    routes = APIRouter(include_in_schema=False)

    @routes.post("/rejected/{id_}/check")
    async def check_one(request: Request, id_: UUID) -> Response:
        _, form = await operators.read_action(request)
        found = await actions.correct(id_, value_of(form, "payload"), actor=None)
        return JSONResponse(_verdict(found))

    @routes.post("/rejected/{id_}/correct")
    async def correct_one(request: Request, id_: UUID) -> Response:
        actor, form = await operators.read_action(request)
        payload = value_of(form, "payload")
        found = await actions.correct(id_, payload, actor=actor)
        if found.status != "rejected":
            return RedirectResponse(f"/rejected/{id_}", 303)
        return await show_event(
            pages,
            request,
            await queries.ask(partial(find_rejected, id_=id_)),
            can_operate=True,
            refused=(payload, found.errors),
        )

    @routes.post("/rejected/purge")
    async def purge_some(request: Request) -> Response:
        actor, form = await operators.read_action(request)
        selection, counts = await read_selection(actions, form)
        if value_of(form, "confirmed") != "yes":
            if selection.until is not None:
                # The confirmation repeats the end, so that later events stay.
                form["until"] = [selection.until.isoformat()]
            return await pages.render(
                "console/rejected_purge.html", request=request, counts=counts, form=form
            )
        deleted = await actions.purge(selection, actor=actor) if counts.events else 0
        return await pages.render(
            "console/rejected_purged.html", request=request, deleted=deleted
        )

    return routes


async def read_selection(
    actions: QuarantineActions, form: Form
) -> tuple[RejectedFilter, SelectionCounts]:
    """The events that a form selects: those that are ticked, or all of a filter."""
    if value_of(form, "all") == "yes":
        given = {name: value_of(form, name) for name in _FILTER}
        try:
            selection = RejectedListQuery.model_validate(given).as_filter()
        except ValidationError:
            raise InvalidParameterError("The filter is not valid.") from None
    else:
        try:
            ids = tuple(UUID(id_) for id_ in form.get("id", []))
        except ValueError:
            raise InvalidParameterError("An id is not a UUID.") from None
        selection = RejectedFilter(ids=ids, is_corrected=False)
    counts = await actions.count(selection)
    # Events that arrive meanwhile are not part of it.
    if selection.ids is None and counts.until is not None:
        selection = replace(selection, until=counts.until)
    return selection, counts


def _verdict(found: Correction) -> dict[str, Any]:
    """The result in the form of a dry run of `/track`."""
    is_valid = found.status == "valid"
    return {
        "message": "The payload is valid." if is_valid else "The payload is rejected.",
        "dry_run": True,
        "results": [
            {
                "index": 0,
                "status": found.status,
                "errors": [issue._asdict() for issue in found.errors],
                "warnings": [issue._asdict() for issue in found.warnings],
            }
        ],
    }

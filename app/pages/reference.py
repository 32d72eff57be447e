"""`/events` and a page for each event, generated from the validating models."""

import asyncio
import json
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request, Response

from app.events.catalog import Catalog
from app.pages.event_docs import event_doc, event_summaries
from app.pages.render import Pages, wants_html
from app.pages.snippets import PLACEHOLDER_ADDRESS, PLACEHOLDER_KEY, Snippets
from app.request_errors import REQUEST_ERRORS, NotFoundError

_OTHERS = 5


def event_routes(pages: Pages, catalog: Catalog) -> APIRouter:
    """`/events` and `/events/{event}`, which are public."""
    routes = APIRouter(include_in_schema=False)
    snippets = Snippets()
    summaries = event_summaries(catalog)

    refusals = sorted(REQUEST_ERRORS, key=lambda kind: kind.status)

    def variables_of(name: str) -> dict[str, Any]:
        doc = event_doc(catalog[name])
        return {
            "event": doc,
            "others": [*islice((each for each in catalog if each != name), _OTHERS)],
            "sample": json.dumps(doc.sample, indent=2, ensure_ascii=False),
            "snippets": snippets.write(doc),
            "address": PLACEHOLDER_ADDRESS,
            "key": PLACEHOLDER_KEY,
            "refusals": refusals,
        }

    @routes.api_route("/events", methods=["GET", "HEAD"])
    async def events(request: Request) -> Response:
        return await pages.render(
            "events.html", request=request, events=summaries, is_unknown=False
        )

    @routes.api_route("/events/{name}", methods=["GET", "HEAD"])
    async def event(request: Request, name: str) -> Response:
        if name in catalog:
            variables = await asyncio.to_thread(variables_of, name)
            return await pages.render("event.html", request=request, **variables)
        if wants_html(request):
            return await pages.render(
                "events.html",
                request=request,
                status=404,
                events=summaries,
                is_unknown=True,
            )
        raise NotFoundError(
            "There is no event with this name. GET /schemas lists all events."
        )

    return routes

"""`/events` and a page for each event, generated from the validating models."""

import asyncio
import json

from fastapi import APIRouter, Request, Response

from app.events.catalog import Catalog
from app.pages.event_docs import EventDoc, event_doc, event_summaries
from app.pages.render import Pages, wants_html
from app.pages.snippets import PLACEHOLDER_ADDRESS, PLACEHOLDER_KEY, Snippet, Snippets
from app.request_errors import REQUEST_ERRORS, NotFoundError

_OTHERS = 5


def event_routes(pages: Pages, catalog: Catalog) -> APIRouter:
    """`/events` and `/events/{event}`, which are public."""
    routes = APIRouter(include_in_schema=False)
    snippets = Snippets()
    summaries = event_summaries(catalog)

    def describe(name: str) -> tuple[EventDoc, list[Snippet]]:
        doc = event_doc(catalog[name])
        return doc, snippets.write(doc)

    @routes.api_route("/events", methods=["GET", "HEAD"])
    async def events(request: Request) -> Response:
        return await pages.render(
            "events.html", request=request, events=summaries, is_unknown=False
        )

    @routes.api_route("/events/{name}", methods=["GET", "HEAD"])
    async def event(request: Request, name: str) -> Response:
        if name in catalog:
            doc, samples = await asyncio.to_thread(describe, name)
            return await pages.render(
                "event.html",
                request=request,
                event=doc,
                others=[each for each in catalog if each != name][:_OTHERS],
                sample=json.dumps(doc.sample, indent=2, ensure_ascii=False),
                snippets=samples,
                address=PLACEHOLDER_ADDRESS,
                key=PLACEHOLDER_KEY,
                refusals=REQUEST_ERRORS,
            )
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

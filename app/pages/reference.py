"""`/events` and a page for each event, made from the models that validate them."""

import json

from fastapi import APIRouter, Request, Response

from app.errors import NotFoundError, RequestError
from app.events.catalog import Catalog
from app.pages.event_docs import event_doc
from app.pages.render import Pages, wants_html
from app.pages.snippets import PLACEHOLDER_KEY, Snippets


def event_routes(pages: Pages, catalog: Catalog) -> APIRouter:
    """`/events` and `/events/{event}`; anyone may read them."""
    routes = APIRouter(include_in_schema=False)
    snippets = Snippets()
    told = {name: event_doc(each) for name, each in catalog.items()}
    refusals = sorted(RequestError.__subclasses__(), key=lambda kind: kind.status)

    @routes.api_route("/events", methods=["GET", "HEAD"])
    async def events(request: Request) -> Response:
        return pages.render("events.html", request=request, events=told.values())

    @routes.api_route("/events/{name}", methods=["GET", "HEAD"])
    async def event(request: Request, name: str) -> Response:
        if name in told:
            address = str(request.base_url).rstrip("/")
            return pages.render(
                "event.html",
                request=request,
                event=told[name],
                others=[other for other in told if other != name],
                sample=json.dumps(told[name].sample, indent=2, ensure_ascii=False),
                snippets=snippets.write(told[name], address=address),
                address=address,
                key=PLACEHOLDER_KEY,
                refusals=refusals,
            )
        if wants_html(request):
            return pages.render(
                "no_event.html", request=request, status=404, events=told.values()
            )
        raise NotFoundError("There is no such event; GET /schemas lists them.")

    return routes

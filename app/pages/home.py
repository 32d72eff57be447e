"""The start page: where everything is."""

from fastapi import APIRouter, Request, Response

from app.pages.render import Pages


def home_routes(pages: Pages) -> APIRouter:
    """`/`."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def home(request: Request) -> Response:
        return pages.render("home.html", request=request)

    return routes

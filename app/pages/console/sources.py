"""`/sources`: each source with its activity, warnings and keys."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import ConfigurationError
from app.pages.console.home import sources_of
from app.pages.console.operators import Operators
from app.pages.forms import value_of
from app.pages.render import Pages
from app.pages.report_cache import ReportCache
from app.request_errors import InvalidParameterError, NotFoundError
from app.store.keys.keys import create_key, revoke_key, rotate_write_key
from app.store.read.limiter import QueryLimiter
from app.store.read.source_page import list_sources, read_source

_Name = Annotated[str, Path(max_length=63, pattern="^[a-z0-9][a-z0-9._-]*$")]
_KeyId = Annotated[str, Path(pattern="^[0-9a-f]{12}$")]


def source_routes(
    pages: Pages,
    *,
    operators: Operators,
    queries: QueryLimiter,
    activity: ReportCache,
    change: Callable[..., Awaitable[Any]],
) -> APIRouter:
    """`/sources` and `/sources/{name}`, and the forms of operators for keys.

    `change` does work on a connection that is separate from those of readers.
    """
    routes = APIRouter(include_in_schema=False)
    may_read = Depends(operators.readers.require_page_reader)

    @routes.get("/sources", dependencies=[may_read])
    async def show_list(request: Request) -> Response:
        found = await queries.ask(list_sources)
        active = {each["source"]: each for each in sources_of(await activity.results())}
        return await pages.render(
            "console/sources.html",
            request=request,
            sources=[(row, active.get(row["name"])) for row in found],
            can_operate=await operators.may(request),
        )

    @routes.get("/sources/{name}", dependencies=[may_read])
    async def show_one(request: Request, name: _Name) -> Response:
        source = await queries.ask(partial(read_source, name=name))
        if source is None:
            raise NotFoundError("There is no source with this name.")
        return await pages.render(
            "console/source.html",
            request=request,
            source=source,
            can_operate=await operators.may(request),
        )

    @routes.post("/sources")
    async def create(request: Request) -> Response:
        actor, form = await operators.read_action(request)
        source = value_of(form, "source").strip()
        try:
            key = await change(partial(create_key, source=source, actor=actor))
        except ConfigurationError as error:
            raise InvalidParameterError(error.detail) from None
        return await pages.render(
            "console/key_created.html", request=request, source=source, key=key
        )

    @routes.post("/keys/{id_}/rotate")
    async def rotate(request: Request, id_: _KeyId) -> Response:
        actor, form = await operators.read_action(request)
        key = await change(partial(rotate_write_key, id_=id_, actor=actor))
        source = value_of(form, "source")
        return await pages.render(
            "console/key_created.html", request=request, source=source, key=key
        )

    @routes.post("/keys/{id_}/revoke")
    async def revoke(request: Request, id_: _KeyId) -> Response:
        actor, _ = await operators.read_action(request)
        row = await change(partial(revoke_key, id_=id_, actor=actor))
        return RedirectResponse(f"/sources/{row.source}", 303)

    return routes

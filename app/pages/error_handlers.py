"""Errors of FastAPI's routes: problem JSON for programs, a page for browsers."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.api.refusal import problem
from app.errors import EventNotFoundError, KeyNotFoundError, OperatorError
from app.ingest.routes import nothing_at_this_path
from app.pages.render import Pages, wants_html
from app.request_errors import (
    InternalError,
    InvalidParameterError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
)


def install_error_handlers(app: FastAPI, pages: Pages) -> None:
    """Have FastAPI answer its errors, and ours: programs in JSON, browsers in HTML."""

    async def respond(
        convert: Callable[[Any], RequestError], request: Request, error: Exception
    ) -> Response:
        refusal = convert(error)
        request_id = request.state.request_id
        if wants_html(request):
            page = await pages.render(
                "problem.html",
                request=request,
                status=refusal.status,
                error=refusal,
                request_id=request_id,
            )
            page.headers.update(refusal.headers())
            return page
        return problem(refusal, request_id=request_id)

    for kind, convert in _CONVERSIONS.items():
        app.add_exception_handler(kind, partial(respond, convert))


def _say_unrouted(error: HTTPException) -> RequestError:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow", "GET")
        return MethodNotAllowedError(f"This path takes {allow}.", allow=allow)
    return nothing_at_this_path()


def _say_unfit(error: RequestValidationError) -> RequestError:
    """The first invalid parameter, without its value."""
    first = error.errors()[0]
    place, *names = first["loc"]
    if place == "path":
        return NotFoundError("There is nothing at this path.")
    if first["type"] == "extra_forbidden":
        return InvalidParameterError("This path takes no such query parameter.")
    match first["type"]:
        case "value_error":  # of our own
            reason = str(first["ctx"]["error"])
        case "greater_than_equal" | "less_than_equal" | "literal_error":
            reason = f"{first['msg']}."
        case _:
            reason = "The value is not allowed."
    return InvalidParameterError(f"The parameter {names[-1]} is invalid. {reason}")


def _say_unknown(error: OperatorError) -> RequestError:
    return NotFoundError(error.detail)


_CONVERSIONS: dict[type[Exception], Callable[[Any], RequestError]] = {
    RequestError: lambda error: error,
    RequestValidationError: _say_unfit,
    HTTPException: _say_unrouted,
    KeyNotFoundError: _say_unknown,
    EventNotFoundError: _say_unknown,
    Exception: lambda _: InternalError("Rollcall failed."),
}

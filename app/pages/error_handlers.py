"""Errors of FastAPI's routes: problem JSON for programs, a page for browsers."""

from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from app.access.readers import SignInRequiredError
from app.api.refusal import problem
from app.errors import EventNotFoundError, KeyNotFoundError
from app.ingest.routes import nothing_at_this_path
from app.pages.render import Pages, wants_html
from app.request_errors import (
    InternalError,
    InvalidParameterError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
)

_HANDLED = (
    RequestError,
    RequestValidationError,
    HTTPException,
    KeyNotFoundError,
    EventNotFoundError,
    Exception,
)


def install_error_handlers(app: FastAPI, pages: Pages) -> None:
    """Have FastAPI answer its errors, and ours: programs in JSON, browsers in HTML.

    A browser without a session is sent to the page where it signs in.
    """

    async def respond(request: Request, error: Exception) -> Response:
        refusal = _refusal_of(error)
        request_id = request.state.request_id
        if not wants_html(request):
            return problem(refusal, request_id=request_id)
        page = await pages.render(
            "problem.html",
            request=request,
            status=refusal.status,
            error=refusal,
            request_id=request_id,
        )
        page.headers.update(refusal.headers())
        return page

    for kind in _HANDLED:
        app.add_exception_handler(kind, respond)
    app.add_exception_handler(SignInRequiredError, _sign_in_first)


async def _sign_in_first(request: Request, _: Exception) -> Response:
    path = request.url.path
    if request.url.query:
        path += f"?{request.url.query}"
    return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303)


def _refusal_of(error: Exception) -> RequestError:
    match error:
        case RequestError():
            return error
        case RequestValidationError():
            return _say_unfit(error)
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            allow = (error.headers or {}).get("Allow", "GET")
            return MethodNotAllowedError(f"This path takes {allow}.", allow=allow)
        case HTTPException():
            return nothing_at_this_path()
        case KeyNotFoundError() | EventNotFoundError():
            return NotFoundError(error.detail)
        case _:
            return InternalError("Rollcall failed.")


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

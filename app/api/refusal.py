"""Refusals of everything but events: problem JSON with security headers."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.security_headers import SecurityHeaders
from app.ingest.problems import problem_response
from app.ingest.responses import PROBLEM_JSON
from app.request_errors import RequestError


def problem(error: RequestError, *, request_id: str) -> Response:
    """The response to a program."""
    found = problem_response(error, request_id=request_id)
    return Response(found.body, found.status, error.headers(), PROBLEM_JSON.decode())


async def refuse(
    error: RequestError, scope: Scope, receive: Receive, send: Send
) -> None:
    """Respond by ASGI middleware, before FastAPI, as its error handlers do."""
    request_id = scope.get("state", {}).get("request_id", "")
    response = problem(error, request_id=request_id)
    await SecurityHeaders(response)(scope, receive, send)

"""Refusals by ASGI middleware, before FastAPI: problem JSON with security headers."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.security_headers import SecurityHeaders
from app.ingest.problems import problem_response
from app.ingest.responses import PROBLEM_JSON
from app.request_errors import RequestError


async def refuse(
    error: RequestError, scope: Scope, receive: Receive, send: Send
) -> None:
    """Respond with an error, as FastAPI's error handlers do to programs."""
    request_id = scope.get("state", {}).get("request_id", "")
    found = problem_response(error, request_id=request_id)
    response = Response(
        found.body, found.status, error.headers(), PROBLEM_JSON.decode()
    )
    await SecurityHeaders(response)(scope, receive, send)

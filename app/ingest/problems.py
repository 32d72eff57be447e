"""Errors of whole requests as RFC 9457 problem JSON.

The JSON carries `code` and `message` beside the RFC's members, because several SDKs
retry for ever on an error body that lacks either.
"""

import orjson

from app.ingest.responses import PROBLEM_JSON, TrackResponse
from app.request_errors import RequestError


def problem_response(error: RequestError, *, request_id: str) -> TrackResponse:
    """Render an error; nothing of what was sent is in it.

    Args:
        error: its detail is for a person, its code for a program.
        request_id: ours.
    """
    problem = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "message": error.detail,
        "success": False,
        "response_id": request_id,
    }
    return TrackResponse(
        error.status,
        orjson.dumps(problem),
        media_type=PROBLEM_JSON,
        headers=[
            (name.lower().encode(), value.encode())
            for name, value in error.headers().items()
        ],
    )

"""Errors of whole requests as RFC 9457 problem JSON.

The JSON carries `code` and `message` beside the RFC's members, because several SDKs
retry for ever on an error body that lacks either.
"""

from functools import lru_cache

import orjson

from app.ingest.responses import PROBLEM_JSON, TrackResponse
from app.request_errors import RequestError


def problem_response(error: RequestError, *, request_id: str) -> TrackResponse:
    """Render an error; nothing of what was sent is in it.

    Args:
        error: its detail is for a person, its code for a program.
        request_id: ours.
    """
    return TrackResponse(
        error.status,
        b'%b%b"}'
        % (
            _beginning(error.code, error.status, error.title, error.detail),
            request_id.encode(),
        ),
        media_type=PROBLEM_JSON,
        headers=[
            (name.lower().encode(), value.encode())
            for name, value in error.headers().items()
        ],
    )


@lru_cache(maxsize=64)
def _beginning(code: str, status: int, title: str, detail: str) -> bytes:
    """The problem, up to the id of the request; a flood is refused for one reason."""
    problem = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "message": detail,
        "success": False,
        "response_id": "",
    }
    return orjson.dumps(problem).removesuffix(b'"}')

"""Refusals as bytes: for what is answered before there is a request to answer."""

import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.problems import answer_problem
from app.errors import RequestError


def refusal(error: RequestError, *, closing: bool) -> bytes:
    """An error as a whole HTTP/1.1 response, problem JSON as everywhere.

    Args:
        error: what is wrong.
        closing: whether the connection ends after it.
    """
    request_id = secrets.token_hex(16)
    answer = answer_problem(error, request_id=request_id)
    headers = {
        b"content-type": answer.media_type,
        b"content-length": b"%d" % len(answer.body),
        b"x-request-id": request_id.encode(),
        **dict(answer.headers),
    }
    if closing:
        headers[b"connection"] = b"close"
    lines = [b"%b: %b\r\n" % header for header in headers.items()]
    return b"".join([STATUS_LINE[answer.status], *lines, b"\r\n", answer.body])

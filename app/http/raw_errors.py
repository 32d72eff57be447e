"""Refusals as bytes: for what is answered before there is a request to answer."""

import itertools
import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.errors import RequestError
from app.ingest.problems import problem_response


def refusal(error: RequestError, *, closing: bool, request_id: str = "") -> bytes:
    """An error as a whole HTTP/1.1 response, problem JSON as everywhere.

    Args:
        error: what is wrong.
        closing: whether the connection ends after it.
        request_id: by default a new one.
    """
    request_id = request_id or secrets.token_hex(16)
    answer = problem_response(error, request_id=request_id)
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


class Refusals:
    """One error as a response to many: made in advance, but for its id.

    Args:
        error: what is wrong.
        closing: whether the connections end after it.
    """

    def __init__(self, error: RequestError, *, closing: bool) -> None:
        prefix = secrets.token_hex(8)
        mark = prefix + "-" * 16
        whole = refusal(error, closing=closing, request_id=mark)
        self._parts = whole.split(mark.encode())
        self._prefix = prefix
        self._ids = itertools.count()

    def next(self) -> bytes:
        """The response to one more."""
        return f"{self._prefix}{next(self._ids):016x}".encode().join(self._parts)

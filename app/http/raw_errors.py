"""Responses as bytes, for requests that no handler answers."""

import secrets
from collections.abc import Iterable
from http import HTTPStatus

from app.ingest.problems import problem_response
from app.request_errors import RequestError

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """The first line of a response."""
    known = STATUS_LINES.get(status)
    return known or b"HTTP/1.1 %d \r\n" % status


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as lines; names and values are ours and not checked."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def raw_error_response(error: RequestError, *, request_id: str = "") -> bytes:
    """Problem JSON as a whole response that ends the connection.

    Args:
        error: the reason of the refusal.
        request_id: a new one by default.
    """
    request_id = request_id or secrets.token_hex(16)
    response = problem_response(error, request_id=request_id)
    headers = {
        b"content-type": response.media_type,
        b"content-length": b"%d" % len(response.body),
        b"x-request-id": request_id.encode(),
        **dict(response.headers),
        b"connection": b"close",
    }
    head = status_line(response.status) + header_lines(headers.items())
    return head + b"\r\n" + response.body

"""Responses as bytes."""

from collections.abc import Iterable
from http import HTTPStatus

from app.ingest.responses import TrackResponse

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in HTTPStatus
}
_RESPONSE = (
    b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b\r\n%b"
)


def status_line(status: int) -> bytes:
    """The first line of a response."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as lines; names and values are ours and not checked."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def render(
    response: TrackResponse, request_id: str, common: bytes, *, has_body: bool = True
) -> bytes:
    """A whole response.

    Args:
        response: its status and body.
        request_id: ours.
        common: lines of the headers that do not depend on it.
        has_body: whether the body follows the headers that describe it.
    """
    return _RESPONSE % (
        status_line(response.status),
        common,
        response.media_type,
        len(response.body),
        request_id.encode(),
        header_lines(response.headers) if response.headers else b"",
        response.body if has_body else b"",
    )

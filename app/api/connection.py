"""The bytes of one connection: HTTP/1.1, with a limit on what precedes a body."""

import secrets

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.problems import answer_problem
from app.errors import HeadersTooLargeError, InvalidHttpError, RequestError

# Of a path with its query and all headers, names and values; proxies let less through.
MAX_HEAD_BYTES = 64 * 1024
# A head that goes on beyond this is not waited for.
_CUT_BYTES = 16 * MAX_HEAD_BYTES


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, whose own refusals are problem JSON, too.

    By itself it would hold headers of any size (RFC 6585 section 5), and say in plain
    text that something is no HTTP.
    """

    # The headers that are being read; None while a body is.
    _head: list[tuple[bytes, bytes]] | None = None
    _unfinished = 0
    _refusal: RequestError | None = None

    @override
    def data_received(self, data: bytes) -> None:
        """From asyncio; counts what belongs to a head that does not end."""
        head = self._head
        super().data_received(data)
        if head is None or head is not self._head or self.transport.is_closing():
            return
        self._unfinished += len(data)
        if self._unfinished > _CUT_BYTES:
            self._refuse(_too_large())

    @override
    def on_message_begin(self) -> None:
        """From the parser."""
        super().on_message_begin()
        self._head = self.headers
        self._unfinished = 0

    @override
    def on_headers_complete(self) -> None:
        """From the parser; what is raised here comes back as no HTTP."""
        self._head = None
        size = sum(len(name) + len(value) for name, value in self.headers)
        if size + len(self.url) > MAX_HEAD_BYTES:
            self._refusal = _too_large()
            raise self._refusal
        super().on_headers_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        """For what the parser refuses."""
        self._refuse(self._refusal or InvalidHttpError("This is no HTTP/1.1 request."))

    def _refuse(self, error: RequestError) -> None:
        request_id = secrets.token_hex(16)
        answer = answer_problem(error, request_id=request_id)
        headers = {
            b"content-type": answer.media_type,
            b"content-length": b"%d" % len(answer.body),
            b"x-request-id": request_id.encode(),
            b"connection": b"close",
        }
        lines = [b"%b: %b\r\n" % header for header in headers.items()]
        self.transport.write(
            b"".join([STATUS_LINE[answer.status], *lines, b"\r\n", answer.body])
        )
        self.transport.close()


def _too_large() -> HeadersTooLargeError:
    return HeadersTooLargeError(
        f"The path and the headers are at most {MAX_HEAD_BYTES} bytes."
    )

"""HTTP parser that ignores `Upgrade` (RFC 9110 section 7.8).

llhttp takes all bytes behind such a request for the other protocol, its body included,
and Java's HttpClient sends `Upgrade: h2c` by default.
"""

from typing import Protocol

from httptools import (
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)


class ParserCallbacks(Protocol):
    """Receiver of the parser's events; llhttp finds the methods `on_*` by their names.

    Attributes:
        target: the path and the query of the request being parsed.
        headers: its headers so far, with lower-case names.
    """

    target: bytes
    headers: list[tuple[bytes, bytes]]


class RequestParser:
    """Parses requests one after the other.

    Args:
        callbacks: receives each request; one that asks for an upgrade is reported
            twice, the first time as an upgrade and without a body.

    Attributes:
        llhttp: the parser of the present request; another one after an upgrade.
    """

    def __init__(self, callbacks: ParserCallbacks) -> None:
        self._callbacks = callbacks
        self.llhttp = _new_parser(callbacks)

    def feed(self, data: bytes) -> None:
        """Parse the bytes that arrived.

        Raises:
            HttpParserError: they are not HTTP, or a callback raised.
        """
        rest: bytes | memoryview = data
        while rest:
            try:
                self.llhttp.feed_data(rest)
            except HttpParserUpgrade as upgrade:
                [end] = upgrade.args
                rest = memoryview(rest)[end:]  # no copy
            else:
                return
            head = self._without_upgrade()
            # The old one is closed where the request ends the connection.
            self.llhttp = _new_parser(self._callbacks)
            self.llhttp.feed_data(head)

    def _without_upgrade(self) -> bytes:
        """The headers of this request as bytes, less the upgrade."""
        method = self.llhttp.get_method()
        if method == b"CONNECT":
            raise HttpParserInvalidMethodError
        version = self.llhttp.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self._callbacks.target, version)]
        for name, value in self._callbacks.headers:
            if name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])


def _new_parser(callbacks: ParserCallbacks) -> HttpRequestParser:
    parser = HttpRequestParser(callbacks)
    # Bytes behind a request that ends the connection are discarded, as uvicorn does.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser

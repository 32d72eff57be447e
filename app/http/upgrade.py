"""The parser of requests, which declines every upgrade (RFC 9110 section 7.8)."""

from typing import Any, Protocol

from httptools import (
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from typing_extensions import override


class Told(Protocol):
    """Who is told what is found, and keeps the head of each request.

    Attributes:
        url: the path and the query.
        headers: names and values.
    """

    url: bytes
    headers: list[tuple[bytes, bytes]]


class Parser(HttpRequestParser):
    """Uvicorn's, but one that asks for another protocol is a request like any other.

    That one takes its body, and all that has come behind it, for the other protocol;
    and Java's own HTTP client asks of its own accord.

    Args:
        protocol: its callbacks; a request is told twice where `should_upgrade` is true,
            and the first time there is no body to it.
    """

    def __init__(self, protocol: Told) -> None:
        super().__init__(protocol)
        self._protocol = protocol
        # As Uvicorn has it: for what comes behind a request that ends the connection.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    @override
    def feed_data(self, data: Any) -> None:
        """Read bytes that have come, all of them.

        Raises:
            HttpParserError: it is no HTTP.
        """
        rest = data
        while rest:
            try:
                super().feed_data(rest)
            except HttpParserUpgrade as upgrade:
                [end] = upgrade.args
                rest = self._head_again() + rest[end:]
            else:
                return

    def _head_again(self) -> bytes:
        """The head of this request, without its wish."""
        method = self.get_method()
        if method == b"CONNECT":
            raise HttpParserInvalidMethodError
        version = self.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self._protocol.url, version)]
        for name, value in self._protocol.headers:
            if name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

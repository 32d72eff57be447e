"""Parses the bytes of a connection into requests, within limits."""

from collections.abc import Callable
from typing import Literal, Protocol

from httptools import HttpParserCallbackError, HttpParserError

from app.http.head import (
    HEADER_WEIGHT,
    MAX_HEADER_BYTES,
    KnownHeads,
    UnfinishedHeaders,
    headers_too_large,
    read_head,
)
from app.http.timeouts import ConnectionLimits
from app.http.upgrade import RequestParser
from app.ingest.request import RequestHead
from app.request_errors import InvalidHttpError, RequestError

# Minimum rate of a body on a connection without a known key: a grace period in seconds,
# then bytes a second.
_BODY_GRACE_S = 2.0
_MIN_BODY_RATE = 64 * 1024
_BETWEEN = frozenset({"start", "idle"})
# States in which the parser may hold bytes that it has not reported.
_INCOMPLETE = frozenset({"head", "body"})


class RequestSink(Protocol):
    """Receives parsed requests; may raise `RequestError` to refuse one.

    Attributes:
        has_known_key: whether it is exempt from the limit of clients without a known
            key.
    """

    has_known_key: bool

    def on_head(self, head: RequestHead) -> None:
        """A request begins."""

    def on_chunk(self, chunk: bytes) -> None:
        """A part of its body."""

    def on_end(self) -> None:
        """It is complete."""

    def refuse(self, error: RequestError) -> None:
        """Answer with an error, and end the connection."""


class RequestReader:
    """Reads requests, one after the other.

    Counts the target, headers and trailers as they arrive, so that an unfinished
    request holds no more memory than a finished one may.

    Args:
        sink: receives the requests.
        clock: monotonic seconds.
        unfinished: counts the unfinished headers of all connections without a known
            key.
        known: heads of all connections with a known key.

    Attributes:
        state: part that is being read; "start" is before the first request, "idle" is
            between two.
        since: when that began, on the clock.
    """

    def __init__(
        self,
        sink: RequestSink,
        clock: Callable[[], float],
        unfinished: UnfinishedHeaders,
        known: KnownHeads,
    ) -> None:
        self.state: Literal["start", "head", "body", "idle"] = "start"
        self.since = self._now = clock()
        self._body_bytes = 0
        self._sink = sink
        self._clock = clock
        self._parser = RequestParser(self)
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        # Bytes since the last one that the parser reported.
        self._unparsed_bytes = 0
        # Those of the last read that the parser has not reported, line ends included.
        self._unreported_bytes = 0
        self._unfinished = unfinished
        self._is_held = False
        self._known = known
        # Of the last request; None before the first.
        self._head: RequestHead | None = None

    def close(self) -> None:
        """The connection ended; leave no cycle for the garbage collector."""
        if self._is_held:
            self._unfinished.change(self._sink, 0)
        del self._sink, self._parser

    def feed(self, data: bytes) -> None:
        """Parse the bytes that arrived.

        Raises:
            RequestError: they are not HTTP/1.1, exceed a limit, or the sink refused.
            Exception: whatever else the sink raises.
        """
        self._now = self._clock()
        is_between = self.state in _BETWEEN and not self._unparsed_bytes
        if is_between and (self._head is None or self._head.keep_alive):
            known = self._known.find(data)
            if known is not None:
                self._take(*known)
                return
        self._parse(data)
        has_ended = self.state == "idle" and not self._unparsed_bytes
        if is_between and has_ended and self._sink.has_known_key and self._head:
            self._known.add(data, self._head)

    def limit_s(self, limits: ConnectionLimits, *, keep_alive_s: float) -> float:
        """Seconds that a client may take for the part that is being read.

        Args:
            limits: of every connection.
            keep_alive_s: between two requests.
        """
        match self.state:
            case "idle":
                return keep_alive_s
            case "body" if self._sink.has_known_key:
                return limits.body_s
            case "body":
                at_rate = _BODY_GRACE_S + self._body_bytes / _MIN_BODY_RATE
                return min(limits.body_s, at_rate)
            case "start" | "head":
                return limits.header_s

    def _take(self, head: RequestHead, body: bytes) -> None:
        """Hand on a whole request."""
        self.state = "body"
        self.since = self._now
        self._head = head
        self._sink.on_head(head)
        if body:
            self._sink.on_chunk(body)
        self.state = "idle"
        self._sink.on_end()

    def _parse(self, data: bytes) -> None:
        self._unparsed_bytes += len(data)
        self._unreported_bytes = len(data)
        try:
            self._parser.feed(data)
        except HttpParserCallbackError as error:
            # llhttp's binding wraps the error of a callback.
            raise error.__context__ or error from None
        except HttpParserError:
            raise InvalidHttpError("This is not an HTTP/1.1 request.") from None
        is_incomplete = self.state in _INCOMPLETE
        if is_incomplete and self._unparsed_bytes > MAX_HEADER_BYTES:
            raise headers_too_large()
        is_unfinished = is_incomplete and not self._sink.has_known_key
        if is_unfinished or self._is_held:
            unparsed = max(self._unparsed_bytes, self._unreported_bytes)
            pending = self._header_bytes + unparsed if is_unfinished else 0
            self._is_held = self._unfinished.change(self._sink, pending)

    def on_message_begin(self) -> None:
        """From the parser."""
        self.target = b""
        self.headers = []
        self._header_bytes = self._unparsed_bytes = 0
        self.state = "head"
        self.since = self._now

    def on_url(self, url: bytes) -> None:
        """From the parser: the target, or a part of it."""
        self.target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """From the parser: a header, or a trailer, which is dropped."""
        self._count(len(name) + len(value) + HEADER_WEIGHT)
        if self.state == "head":
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """From the parser."""
        llhttp = self._parser.llhttp
        if llhttp.should_upgrade():  # it is about to be reported again, without
            return
        head = read_head(
            llhttp.get_method(), self.target, llhttp.get_http_version(), self.headers
        )
        head.keep_alive = head.version == "1.1" and llhttp.should_keep_alive()
        self.state = "body"
        self.since = self._now
        self._header_bytes = self._unparsed_bytes = self._body_bytes = 0
        self._head = head
        self._sink.on_head(head)

    def on_body(self, body: bytes) -> None:
        """From the parser."""
        self._unparsed_bytes = 0
        self._unreported_bytes -= len(body)
        self._body_bytes += len(body)
        self._sink.on_chunk(body)

    def on_message_complete(self) -> None:
        """From the parser."""
        self._unparsed_bytes = 0
        if self.state == "body":  # else it is about to be repeated
            self.state = "idle"
            self.since = self._now
            self._sink.on_end()

    def _count(self, size: int) -> None:
        self._unparsed_bytes = 0
        self._unreported_bytes -= size
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise headers_too_large()

"""Errors of whole requests: code, HTTP status and headers, answered as problem JSON.

`REQUEST_ERRORS` lists them in order of their status.

An error of one event is an `Issue` (`app.pipeline.issues`) and not an exception, so
that the other events of the body are processed.
"""

from collections.abc import Iterable
from typing import ClassVar

from typing_extensions import override

from app.errors import RollcallError


class RequestError(RollcallError):
    """Rejection of a whole request, answered as problem JSON (RFC 9457).

    Attributes:
        code: stable, machine-readable code; part of the HTTP interface.
        status: HTTP status.
        title: text that is the same for all errors of this code.
        retryable: whether a retry with the same bytes can succeed.
        retry_after: whole seconds for `Retry-After`; None without that header.
        fixed_headers: further headers of each response with this code.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    retryable: ClassVar[bool] = False
    retry_after: int | None = None
    fixed_headers: ClassVar[Iterable[tuple[str, str]]] = ()

    def headers(self) -> dict[str, str]:
        """Additional headers of the response."""
        headers = dict(self.fixed_headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers


class InvalidHttpError(RequestError):
    """The bytes are not a valid HTTP/1.1 request."""

    code = "invalid_http"
    status = 400
    title = "The request is not valid HTTP"


class InvalidHostError(RequestError):
    """The host name is not one under which pages are served."""

    code = "invalid_host"
    status = 400
    title = "The host name is not allowed"


class InvalidJsonError(RequestError):
    """The body is not JSON (RFC 8259); the detail gives line and column."""

    code = "invalid_json"
    status = 400
    title = "The body is not valid JSON"


class InvalidBodyError(RequestError):
    """The body is JSON but neither an object nor an array."""

    code = "invalid_body"
    status = 400
    title = "The body is neither an event nor a list of events"


class EmptyBodyError(RequestError):
    """The body holds no event."""

    code = "empty_body"
    status = 400
    title = "The body holds no event"


class InvalidParameterError(RequestError):
    """A query parameter is unknown or its value is not allowed."""

    code = "invalid_parameter"
    status = 400
    title = "A query parameter is invalid"


class InvalidCursorError(RequestError):
    """The cursor is malformed or belongs to another query."""

    code = "invalid_cursor"
    status = 400
    title = "The cursor is invalid"


class InvalidEncodingError(RequestError):
    """The body does not match its `Content-Encoding`."""

    code = "invalid_encoding"
    status = 400
    title = "The body cannot be decompressed"


class UnauthorizedError(RequestError):
    """The key is missing, unknown or revoked."""

    code = "unauthorized"
    status = 401
    title = "A valid key is required"
    # The accepted schemes (RFC 9110 section 11.6.1).
    fixed_headers = (
        ("WWW-Authenticate", 'Bearer realm="rollcall", Basic realm="rollcall"'),
    )


class ReaderRequiredError(UnauthorizedError):
    """The read key or session is missing, unknown or expired."""

    # Bearer only: Basic works too, but browsers would open a dialog for it.
    fixed_headers = (("WWW-Authenticate", 'Bearer realm="rollcall"'),)


class CrossSiteError(RequestError):
    """A page of another site sent a form to this one."""

    code = "cross_site"
    status = 403
    title = "The request comes from another site"


class ForbiddenError(RequestError):
    """The key or session may read but not do this."""

    code = "forbidden"
    status = 403
    title = "The key may not do this"


class NotFoundError(RequestError):
    """The path does not exist."""

    code = "not_found"
    status = 404
    title = "The path does not exist"


class MethodNotAllowedError(RequestError):
    """The path does not accept the method.

    Args:
        detail: a sentence for people.
        allow: methods that the path accepts.
    """

    code = "method_not_allowed"
    status = 405
    title = "The path does not accept this method"

    def __init__(self, detail: str, *, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow

    @override
    def headers(self) -> dict[str, str]:
        """The allowed methods (RFC 9110 section 15.5.6), too."""
        return {**super().headers(), "Allow": self.allow}


class SlowClientError(RequestError):
    """The headers or the body did not arrive before their deadline."""

    code = "slow_client"
    status = 408
    title = "The request took too long to arrive"
    retryable = True


class BodyTooLargeError(RequestError):
    """The decompressed body exceeds its limit."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class TooManyEventsError(RequestError):
    """The body exceeds the limit of events."""

    code = "too_many_events"
    status = 413
    title = "The body holds too many events"


class TooManyValuesError(RequestError):
    """The body exceeds the limit of JSON values over all its events."""

    code = "too_many_values"
    status = 413
    title = "The body holds too many values"


class UnsupportedMediaError(RequestError):
    """The media type or content encoding is not supported."""

    code = "unsupported_media_type"
    status = 415
    title = "The body's media type or encoding is not supported"


class HeadersTooLargeError(RequestError):
    """The path and the headers exceed their limit."""

    code = "headers_too_large"
    status = 431
    title = "The headers are too large"


class TooManyRequestsError(RequestError):
    """One source exceeds its share while other sources send."""

    code = "too_many_requests"
    status = 429
    title = "This source has too many requests in flight"
    retryable = True
    retry_after = 1


class InternalError(RequestError):
    """A defect of Rollcall; the log has the traceback with the request id."""

    code = "internal_error"
    status = 500
    title = "Rollcall failed"
    retryable = True


class OverloadedError(RequestError):
    """The worker cannot store the request in time."""

    code = "overloaded"
    status = 503
    title = "The service is overloaded"
    retryable = True
    retry_after = 1


class UnavailableError(RequestError):
    """Postgres did not confirm in time; the events may or may not be stored.

    Args:
        detail: one sentence for a person.
        reason: cause for the operator, such as `password refused`.
    """

    code = "unavailable"
    status = 503
    title = "The database did not confirm in time"
    retryable = True
    retry_after = 2

    def __init__(self, detail: str, *, reason: str = "no answer in time") -> None:
        super().__init__(detail)
        self.reason = reason


# One class for each code, in the order of the tree above.
REQUEST_ERRORS: tuple[type[RequestError], ...] = (
    InvalidHttpError,
    InvalidHostError,
    InvalidJsonError,
    InvalidBodyError,
    EmptyBodyError,
    InvalidParameterError,
    InvalidCursorError,
    InvalidEncodingError,
    UnauthorizedError,
    CrossSiteError,
    ForbiddenError,
    NotFoundError,
    MethodNotAllowedError,
    SlowClientError,
    BodyTooLargeError,
    TooManyEventsError,
    TooManyValuesError,
    UnsupportedMediaError,
    HeadersTooLargeError,
    TooManyRequestsError,
    InternalError,
    OverloadedError,
    UnavailableError,
)

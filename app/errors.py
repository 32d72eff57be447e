"""The one tree of errors: what each means, and how it is answered.

    RollcallError
    |-- OperatorError                    told to whoever runs the command; exit 1
    |   |-- ConfigurationError
    |   |-- DatabaseError
    |   |-- EmbeddedPostgresError
    |   |-- SchemaError
    |   |-- WorkerError
    |   |-- KeyNotFoundError
    |   `-- EventNotFoundError
    `-- RequestError                     told to the sender as problem JSON
        |   code                   status  retryable
        |-- InvalidHttpError          400  no
        |-- InvalidJsonError          400  no
        |-- InvalidBodyError          400  no
        |-- EmptyBodyError            400  no
        |-- InvalidParameterError     400  no
        |-- InvalidCursorError        400  no
        |-- InvalidEncodingError      400  no
        |-- UnauthorizedError         401  no
        |   `-- ReaderRequiredError   401  no
        |-- CrossSiteError            403  no
        |-- ForbiddenError            403  no
        |-- NotFoundError             404  no
        |-- MethodNotAllowedError     405  no
        |-- SlowClientError           408  yes
        |-- BodyTooLargeError         413  no
        |-- TooManyEventsError        413  no
        |-- TooManyValuesError        413  no
        |-- UnsupportedMediaError     415  no
        |-- HeadersTooLargeError      431  no
        |-- TooManyRequestsError      429  yes
        |-- InternalError             500  yes
        |-- OverloadedError           503  yes
        `-- UnavailableError          503  yes

What is wrong with one event alone is no exception but a `Issue`
(`app.pipeline.issues`): its neighbours go on.
"""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override


class RollcallError(Exception):
    """Anything that Rollcall itself raises.

    Args:
        detail: one sentence for a person; never holds what the sender sent.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class OperatorError(RollcallError):
    """Something that only the operator can mend; the text says how."""


class ConfigurationError(OperatorError):
    """A setting cannot be used."""


class DatabaseError(OperatorError):
    """The database does not answer, or does not do what a command asks."""


class EmbeddedPostgresError(OperatorError):
    """The embedded Postgres cannot be started, reached or stopped."""


class SchemaError(OperatorError):
    """The database's schema is not one that this code can work with."""


class WorkerError(OperatorError):
    """No worker of the service can start."""


class KeyNotFoundError(OperatorError):
    """No key matches what was asked for."""


class EventNotFoundError(OperatorError):
    """No event has the id that was asked for."""


class RequestError(RollcallError):
    """A whole request that is refused (RFC 9457 problem JSON).

    Attributes:
        code: stable and machine-readable; part of the wire contract.
        status: the HTTP status.
        title: the same words for each error of one code.
        retryable: whether sending the same bytes again can succeed.
        retry_after: whole seconds for `Retry-After`, where there is one.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    retryable: ClassVar[bool] = False
    retry_after: ClassVar[int | None] = None

    def headers(self) -> Mapping[str, str]:
        """The headers that this answer carries beside the usual ones."""
        if self.retry_after is None:
            return {}
        return {"Retry-After": str(self.retry_after)}


class InvalidHttpError(RequestError):
    """What was sent is no request of HTTP/1.1."""

    code = "invalid_http"
    status = 400
    title = "The request is not valid HTTP"


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
    """The body holds no event at all."""

    code = "empty_body"
    status = 400
    title = "The body holds no event"


class InvalidParameterError(RequestError):
    """A query parameter has a value that it cannot have."""

    code = "invalid_parameter"
    status = 400
    title = "A query parameter is invalid"


class InvalidCursorError(RequestError):
    """The cursor is none, or belongs to another query."""

    code = "invalid_cursor"
    status = 400
    title = "The cursor is invalid"


class InvalidEncodingError(RequestError):
    """The body is not what its `Content-Encoding` says."""

    code = "invalid_encoding"
    status = 400
    title = "The body cannot be decompressed"


class UnauthorizedError(RequestError):
    """No key, or one that is unknown or revoked."""

    code = "unauthorized"
    status = 401
    title = "A valid key is required"

    @override
    def headers(self) -> Mapping[str, str]:
        """RFC 9110 section 11.6.1: a 401 names the schemes that it takes."""
        return {"WWW-Authenticate": 'Bearer realm="rollcall", Basic realm="rollcall"'}


class ReaderRequiredError(UnauthorizedError):
    """No read key and no session, or one that is worth nothing."""

    @override
    def headers(self) -> Mapping[str, str]:
        """Basic is taken, too, but a browser would ask for it in a dialog."""
        return {"WWW-Authenticate": 'Bearer realm="rollcall"'}


class CrossSiteError(RequestError):
    """A page of another site has a browser sign in or out."""

    code = "cross_site"
    status = 403
    title = "The request comes from another site"


class ForbiddenError(RequestError):
    """The key or session may read but not do this."""

    code = "forbidden"
    status = 403
    title = "The key may not do this"


class NotFoundError(RequestError):
    """Nothing lives at this path."""

    code = "not_found"
    status = 404
    title = "Nothing is here"


class MethodNotAllowedError(RequestError):
    """The path exists, the method does not.

    Args:
        detail: one sentence for a person.
        allow: the methods that the path takes.
    """

    code = "method_not_allowed"
    status = 405
    title = "This path does not take that method"

    def __init__(self, detail: str, *, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow

    @override
    def headers(self) -> Mapping[str, str]:
        """RFC 9110 section 15.5.6: a 405 lists what is allowed."""
        return {"Allow": self.allow}


class SlowClientError(RequestError):
    """The headers or the body did not arrive within their time."""

    code = "slow_client"
    status = 408
    title = "The request took too long to arrive"
    retryable = True

    @override
    def headers(self) -> Mapping[str, str]:
        """The rest of it may still come: the connection ends here."""
        return {"Connection": "close"}


class BodyTooLargeError(RequestError):
    """The decoded body is over its limit."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class TooManyEventsError(RequestError):
    """The body holds more events than one body may."""

    code = "too_many_events"
    status = 413
    title = "The body holds too many events"


class TooManyValuesError(RequestError):
    """The body holds more values, in all its events, than one body may."""

    code = "too_many_values"
    status = 413
    title = "The body holds too many values"


class UnsupportedMediaError(RequestError):
    """The body's type or encoding is none that Rollcall reads."""

    code = "unsupported_media_type"
    status = 415
    title = "The body's media type or encoding is not supported"


class HeadersTooLargeError(RequestError):
    """The path and the headers are over their limit."""

    code = "headers_too_large"
    status = 431
    title = "The headers are too large"


class TooManyRequestsError(RequestError):
    """One source has more in flight than its share, and others send, too."""

    code = "too_many_requests"
    status = 429
    title = "This source has too much in flight"
    retryable = True
    retry_after = 1


class InternalError(RequestError):
    """A defect of Rollcall's; the log holds its trace under the request id."""

    code = "internal_error"
    status = 500
    title = "Rollcall failed"
    retryable = True


class OverloadedError(RequestError):
    """More is in flight than this worker may hold."""

    code = "overloaded"
    status = 503
    title = "Too much is in flight"
    retryable = True
    retry_after = 1


class UnavailableError(RequestError):
    """Postgres did not confirm in time; the events may or may not be in."""

    code = "unavailable"
    status = 503
    title = "The database did not confirm in time"
    retryable = True
    retry_after = 2

"""The base class of all errors, and errors that the operator fixes.

`app.request_errors` has those of requests.
"""


class RollcallError(Exception):
    """Base class of all errors.

    Args:
        detail: a sentence for people, without values of the payload.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class OperatorError(RollcallError):
    """An error that the operator can fix; the text says how. Exit status 1."""


class ConfigurationError(OperatorError):
    """A setting cannot be used."""


class DatabaseError(OperatorError):
    """The database did not answer or refused a statement of a command."""


class EmbeddedPostgresError(OperatorError):
    """The embedded Postgres cannot be started, reached or stopped."""


class SchemaError(OperatorError):
    """The schema of the database does not fit this release."""


class WorkerError(OperatorError):
    """No worker of the service can start."""


class KeyNotFoundError(OperatorError):
    """No key has the given id."""


class EventNotFoundError(OperatorError):
    """No event has the given id."""

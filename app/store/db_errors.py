"""What a failed statement means: the data was refused, or Postgres was not able.

Codes are those of PostgreSQL's appendix A, "PostgreSQL Error Codes".
"""

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# Every error that using a database can raise. SQLAlchemy wraps errors of statements;
# those of connecting, and of statements on the driver's connection, are not wrapped.
DATABASE_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)
_NOT_NULL_VIOLATION = "23502"
_CHECK_VIOLATION = "23514"
_READ_ONLY_TRANSACTION = "25006"
# Kinds of failure for logs and metrics, by SQLSTATE or else by its class.
_KINDS = {
    _READ_ONLY_TRANSACTION: "read_only",
    "55P03": "lock",
    "57014": "timeout",
    "08": "connection",
    "40": "conflict",
    "53": "resources",
    "57": "shutdown",
}
# Data exception; program limit exceeded.
_REFUSING_CLASSES = ("22", "54")


def is_data_error(error: Exception) -> bool:
    """Whether Postgres or the driver refused the data, so that a retry is useless.

    A check violation counts only with a constraint's name: without one, no partition
    takes the row. A fatal error never counts: a login can fail with the code of a data
    exception, too.
    """
    state = sqlstate_of(error)
    severity = getattr(_driver_error(error), "severity_en", None)
    return severity != "FATAL" and (
        state.startswith(_REFUSING_CLASSES)
        or state == _NOT_NULL_VIOLATION
        or (state == _CHECK_VIOLATION and _constraint_of(error) is not None)
    )


def lacks_partition(error: Exception) -> bool:
    """Whether the partition of a row is missing."""
    return sqlstate_of(error) == _CHECK_VIOLATION and _constraint_of(error) is None


def is_read_only(error: Exception) -> bool:
    """Whether the session is read-only."""
    return sqlstate_of(error) == _READ_ONLY_TRANSACTION


def sqlstate_of(error: Exception) -> str:
    """The five characters of the SQLSTATE; empty if Postgres sent no error."""
    return getattr(_driver_error(error), "sqlstate", None) or ""


def classify(error: Exception) -> str:
    """The kind of failure: one of a small closed set."""
    state = sqlstate_of(error)
    if state:
        return _KINDS.get(state) or _KINDS.get(state[:2], "other")
    if isinstance(error, TimeoutError | PoolTimeoutError):
        return "timeout"
    return "connection"


def _constraint_of(error: Exception) -> str | None:
    return getattr(_driver_error(error), "constraint_name", None)


def _driver_error(error: Exception) -> BaseException:
    """The error as asyncpg raised it."""
    if isinstance(error, DBAPIError) and error.driver_exception is not None:
        return error.driver_exception
    return error

"""What a failed statement means: the data's fault, or the moment's.

Codes are those of PostgreSQL's appendix A, "PostgreSQL Error Codes".
"""

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# All that using a database can raise; while connecting, the driver's own errors and
# those of the socket reach us as they are.
DATABASE_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)
_NOT_NULL_VIOLATION = "23502"
_CHECK_VIOLATION = "23514"
_READ_ONLY_TRANSACTION = "25006"
# What else Postgres says, in a word; by code or, failing that, by its class.
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
    """Whether Postgres or the driver refused what was to be stored, for good.

    A check violation counts only with a constraint's name: without one it says
    that no partition takes the row. What ends the session never counts: logging in
    can fail with the code of a data exception too.
    """
    state = sqlstate_of(error)
    severity = getattr(_driver_error(error), "severity_en", None)
    return severity != "FATAL" and (
        state.startswith(_REFUSING_CLASSES)
        or state == _NOT_NULL_VIOLATION
        or (state == _CHECK_VIOLATION and _constraint_of(error) is not None)
    )


def lacks_partition(error: Exception) -> bool:
    """Whether a row found no partition to go to."""
    return sqlstate_of(error) == _CHECK_VIOLATION and _constraint_of(error) is None


def is_read_only(error: Exception) -> bool:
    """Whether the session takes no writes."""
    return sqlstate_of(error) == _READ_ONLY_TRANSACTION


def sqlstate_of(error: Exception) -> str:
    """The five characters, or none where Postgres did not say anything."""
    return getattr(_driver_error(error), "sqlstate", None) or ""


def classify(error: Exception) -> str:
    """A word for why Postgres did not do it: one of a small closed set."""
    state = sqlstate_of(error)
    if state:
        return _KINDS.get(state) or _KINDS.get(state[:2], "other")
    if isinstance(error, TimeoutError | PoolTimeoutError):
        return "timeout"
    return "connection"


def _constraint_of(error: Exception) -> str | None:
    return getattr(_driver_error(error), "constraint_name", None)


def _driver_error(error: Exception) -> BaseException:
    """The driver's own error, from below the two that SQLAlchemy lays over it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error

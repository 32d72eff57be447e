"""Classes of database errors: refused data, or a fault of the moment."""

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from app.store.operator.causes import driver_error, sqlstate_of

# Everything that a use of the database can raise. While connecting, errors of the
# driver and of the socket arrive without SQLAlchemy's wrapper.
DATABASE_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
_NOT_NULL_VIOLATION = "23502"
_CHECK_VIOLATION = "23514"
_READ_ONLY_TRANSACTION = "25006"
# Data exception; program limit exceeded.
_DATA_CLASSES = ("22", "54")


def is_data_error(error: Exception) -> bool:
    """Whether Postgres or the driver refused a value for good.

    A check violation counts unless it says that no partition takes the row. A fatal
    error never counts: a login can fail with the SQLSTATE of a data exception.
    """
    state = sqlstate_of(error)
    severity = getattr(driver_error(error), "severity_en", None)
    return severity != "FATAL" and (
        state.startswith(_DATA_CLASSES)
        or state == _NOT_NULL_VIOLATION
        or (state == _CHECK_VIOLATION and not lacks_partition(error))
    )


def lacks_partition(error: Exception) -> bool:
    """Whether no partition takes the row.

    Such an error has no name of a constraint. Citus passes on neither this name nor
    that of the table, but the text.
    """
    found = driver_error(error)
    return (
        sqlstate_of(error) == _CHECK_VIOLATION
        and getattr(found, "constraint_name", None) is None
        and (
            getattr(found, "table_name", None) is not None
            or "no partition" in str(found)
        )
    )


def is_read_only(error: Exception) -> bool:
    """Whether the session refuses writes."""
    return sqlstate_of(error) == _READ_ONLY_TRANSACTION

"""Indexes closed weeks: by email address, and by time where they are not in order.

The open week has no such index, which would cost a sixth of each insert there.
"""

from sqlalchemy import text

from app.request_errors import UnavailableError
from app.store.db_errors import DATABASE_ERRORS
from app.store.engine import one_connection

# Sorting the addresses of a large week takes minutes.
_TIMEOUT_S = 1800.0
_NO_TIMEOUT = text("SET LOCAL statement_timeout = 0")
_INDEX = text("SELECT rollcall_index_closed_week()")


async def index_closed_weeks(url: str) -> int:
    """Index every closed week that has no index yet, on a connection of its own.

    Readers and writers go on meanwhile. Returns the number of weeks; 0 also while
    another process does it. The role may execute `rollcall_index_closed_week`.

    Raises:
        UnavailableError: the database refused, or ended it.
    """
    weeks = 0
    try:
        async with one_connection(url, command_timeout_s=_TIMEOUT_S) as engine:
            while True:
                async with engine.begin() as connection:
                    await connection.execute(_NO_TIMEOUT)
                    if not await connection.scalar(_INDEX):
                        return weeks
                weeks += 1
    except DATABASE_ERRORS as error:
        raise UnavailableError("A closed week could not be indexed.") from error

"""The weekly partitions of `events`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ENSURE_PARTITIONS = "SELECT rollcall_ensure_partitions()"
# Number of future weeks that have a partition.
COUNT_WEEKS_AHEAD = """\
SELECT count(*) AS weeks FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'events'::regclass AND relname ~ '^events_p[0-9]{8}$'
    AND to_date(right(relname, 8), 'YYYYMMDD') > (now() AT TIME ZONE 'UTC')::date;"""


async def ensure_partitions(connection: AsyncConnection) -> int:
    """Make the partitions of this week and the next four; idempotent.

    Needs a transaction of its own, which the caller commits: a statement that failed
    because a partition is missing has aborted its transaction.

    Returns:
        How many were made: 0 in all but one call a week.
    """
    made: int = (await connection.execute(text(ENSURE_PARTITIONS))).scalar_one()
    return made


async def weeks_ahead(connection: AsyncConnection) -> int:
    """Number of future weeks that have a partition."""
    weeks: int = (await connection.execute(text(COUNT_WEEKS_AHEAD))).scalar_one()
    return weeks

"""The weekly partitions of `events`."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection


async def ensure_partitions(connection: AsyncConnection) -> int:
    """Make the partitions of this week and the next four; idempotent.

    Needs a transaction of its own, which the caller commits: a statement that
    failed for want of a partition has already spoilt its transaction.

    Returns:
        How many were made: 0 in all but one call a week.
    """
    result = await connection.execute(select(func.rollcall_ensure_partitions()))
    made: int = result.scalar_one()
    return made

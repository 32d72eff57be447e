"""What is asked of the database beside the writing, each within a time of its own."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import UnavailableError
from app.store.failures import DATABASE_ERRORS
from app.store.keys import find_source
from app.store.partitions import ensure_partitions
from app.store.retention import expire_rejected
from app.store.schema import check_schema
from app.store.transaction import transaction

_UPKEEP_TIMEOUT_S = 10.0

_IS_READ_ONLY = text("SELECT current_setting('transaction_read_only') = 'on'")


class Lookups:
    """Questions to the database.

    Args:
        engine: shared with the writer; each question uses one connection.
        timeout_s: for one question.
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s

    async def source_of_key(self, key_hash: bytes) -> str | None:
        """The source of a live key; None if it is unknown or revoked.

        Raises:
            UnavailableError: the database did not answer.
        """
        try:
            async with transaction(
                self._engine, deadline=_from_now(self._timeout_s)
            ) as connection:
                return await find_source(connection, key_hash=key_hash)
        except DATABASE_ERRORS:
            raise UnavailableError(
                "The key could not be looked up in time; send this again."
            ) from None

    async def check_ready(self) -> None:
        """Whether events can be stored now.

        Raises:
            UnavailableError: the database does not answer, or takes no writes.
            SchemaError: its schema is older than this code needs.
        """
        try:
            async with transaction(
                self._engine, deadline=_from_now(self._timeout_s)
            ) as connection:
                await check_schema(connection)
                read_only = await connection.scalar(_IS_READ_ONLY)
        except DATABASE_ERRORS:
            raise UnavailableError("The database does not answer.") from None
        if read_only:
            raise UnavailableError("The database takes no writes: it is read-only.")

    async def make_partitions(self) -> int:
        """Make the partitions of the weeks ahead; returns how many were new.

        Raises:
            UnavailableError: the database did not do it.
        """
        try:
            async with transaction(
                self._engine, deadline=_from_now(_UPKEEP_TIMEOUT_S)
            ) as connection:
                return await ensure_partitions(connection)
        except DATABASE_ERRORS:
            raise UnavailableError("The partitions could not be made.") from None

    async def expire_rejected(self, *, days: int) -> int:
        """Delete what has been in quarantine for longer; returns how many events.

        In small transactions, and passing over rows that are locked: nobody waits.

        Raises:
            UnavailableError: the database did not do it, or not to the end.
        """
        expired = 0
        try:
            while True:
                async with transaction(
                    self._engine, deadline=_from_now(_UPKEEP_TIMEOUT_S)
                ) as connection:
                    batch = await expire_rejected(connection, days=days)
                if not batch:
                    return expired
                expired += batch
        except DATABASE_ERRORS:
            raise UnavailableError(
                "What is too old in quarantine could not be deleted."
            ) from None


def _from_now(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds

"""Sources: the named senders."""

import re

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConfigurationError
from app.store.tables import sources

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def check_source_name(name: str) -> None:
    """Refuse an invalid name of a source.

    Raises:
        ConfigurationError: the name is not valid.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "A source's name is 1 to 63 characters of a-z, 0-9, dot, underscore and"
            " hyphen, and begins with a letter or digit, such as billing-backend."
        )


async def ensure_source(connection: AsyncConnection, *, name: str) -> None:
    """Register a source if it is new, in the caller's transaction.

    Raises:
        ConfigurationError: the name is not valid.
    """
    check_source_name(name)
    await connection.execute(insert(sources).values(name=name).on_conflict_do_nothing())

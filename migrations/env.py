"""The environment of Alembic's commands.

`app.store.migrations`, which this file imports and which finds it by name, passes a
connection that holds the lock on the schema. A developer's `alembic` passes none; then
one to ROLLCALL_DATABASE_URL is made.
"""

import asyncio
import logging.config

from alembic import context
from sqlalchemy import Connection

from app.errors import ConfigurationError
from app.settings import Settings
from app.store.migrations import migration_connection


def _run(connection: Connection) -> None:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_run() -> None:
    url = Settings().database_url
    if url is None:
        raise ConfigurationError("Set ROLLCALL_DATABASE_URL for `alembic` to work on.")
    async with migration_connection(url.get_secret_value()) as connection:
        await connection.run_sync(_run)


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    if context.config.config_file_name is not None:
        logging.config.fileConfig(context.config.config_file_name)
    asyncio.run(_connect_and_run())

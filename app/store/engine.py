"""Engines: how connections to Postgres are made, and their time limits.

The session settings (durable commits, UTC, time limits) outrank every default of a
role or database. A direct connection sends them once, at login. Through a pooler, which
gives each transaction another session, each transaction sends them with its BEGIN.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from app.logs import fields
from app.metrics.catalog import POOL_IN_USE, POOL_LIMIT, WORKERS_BY_HOST
from app.metrics.counters import Metrics
from app.store.dsn import dsn_of, has_pooler
from app.store.hosts import connect

log = logging.getLogger(__name__)

# asyncpg reads the URL itself, by libpq's rules; SQLAlchemy needs only the dialect.
_DIALECT = "postgresql+asyncpg://"
_APPLICATION = {"application_name": "rollcall"}
_MIGRATION_CONNECT_TIMEOUT_S = 10.0
_IDLE_IN_TRANSACTION_TIMEOUT_S = 10.0


class PooledConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg is untyped
    """A connection through a pooler; its transactions begin with their settings."""

    __slots__ = ("begin_settings",)

    begin_settings: str

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """Execute, and send the settings in one message with BEGIN."""
        if query.startswith("BEGIN"):
            query = f"{query.rstrip(';')};{self.begin_settings}"
        status: str = await super().execute(query, *args, **options)
        return status


def create_engine(  # noqa: PLR0913 - limits, each with a default
    url: str,
    *,
    pool_size: int = 3,
    pool_timeout_s: float = 1.0,
    connect_timeout_s: float = 2.0,
    command_timeout_s: float = 2.0,
    on_host: Callable[[str], None] | None = None,
) -> AsyncEngine:
    """Make the engine that serves requests; it connects on first use.

    JSONB parameters are passed as JSON text, and are read back as Python objects.
    Connections are not tested before use: the writer retries on a lost connection.

    Args:
        url: a libpq URL (`postgresql://`, `postgres://`) or SQLAlchemy's form of it.
        pool_size: maximum number of connections; there is no overflow.
        pool_timeout_s: time to wait for a free connection.
        connect_timeout_s: time to make a connection, TLS and login included.
        command_timeout_s: time limit of a statement. Postgres gives up on a lock after
            three quarters of it and on the statement after nine tenths, so that the
            connection stays usable.
        on_host: called with the host of each new connection, such as `db2:5432`.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    return create_async_engine(
        _DIALECT,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        json_serializer=str,
        async_creator=partial(
            _connect,
            dsn_of(url),
            _session_settings(
                lock_timeout_s=command_timeout_s * 0.75,
                statement_timeout_s=command_timeout_s * 0.9,
                idle_timeout_s=_IDLE_IN_TRANSACTION_TIMEOUT_S,
            ),
            is_pooled=has_pooler(url),
            timeout_s=connect_timeout_s,
            command_timeout=command_timeout_s,
            on_host=on_host,
        ),
    )


@asynccontextmanager
async def one_connection(
    url: str, *, command_timeout_s: float, connect_timeout_s: float = 2.0
) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection, closed at the end; as for `create_engine`."""
    engine = create_engine(
        url,
        pool_size=1,
        connect_timeout_s=connect_timeout_s,
        command_timeout_s=command_timeout_s,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def create_migration_engine(url: str, *, lock_timeout_s: float) -> AsyncEngine:
    """Make the engine that changes the schema; its statements have no time limit.

    Args:
        url: as for `create_engine`.
        lock_timeout_s: time that a statement may wait for a lock. All readers and
            writers of a table queue behind a statement that waits to change it.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    return create_async_engine(
        _DIALECT,
        poolclass=NullPool,
        json_serializer=str,
        async_creator=partial(
            _connect,
            dsn_of(url),
            _session_settings(
                lock_timeout_s=lock_timeout_s, statement_timeout_s=0, idle_timeout_s=0
            ),
            is_pooled=has_pooler(url),
            timeout_s=_MIGRATION_CONNECT_TIMEOUT_S,
        ),
    )


def single_statement(driver: asyncpg.Connection) -> AbstractAsyncContextManager[object]:
    """The transaction of one statement on the driver's connection.

    A statement commits by itself on a direct connection. Through a pooler it needs
    BEGIN, which brings the session settings.
    """
    # asyncpg's metaclass makes every connection an instance of every subclass.
    if type(driver) is PooledConnection:
        transaction: AbstractAsyncContextManager[object] = driver.transaction()
        return transaction
    return nullcontext()


def watch_pool(engine: AsyncEngine, metrics: Metrics, *, name: str) -> None:
    """Register gauges of its connections: how many are in use, and the limit."""
    pool = engine.pool
    if isinstance(pool, QueuePool):
        metrics.register_gauges(
            {POOL_IN_USE: pool.checkedout, POOL_LIMIT: pool.size}, name
        )


class HostWatch:
    """Logs the database host of a pool when it changes, and holds it in the metrics."""

    def __init__(self, metrics: Metrics, *, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._host: str | None = None

    def __call__(self, host: str) -> None:
        """Note the host of a new connection."""
        if host == self._host:
            return
        if self._host is not None:
            self._metrics.set(WORKERS_BY_HOST, self._name, self._host, to=0)
        self._metrics.set(WORKERS_BY_HOST, self._name, host, to=1)
        log.info(
            "connected to a database host", extra=fields(pool=self._name, host=host)
        )
        self._host = host


async def _connect(
    dsn: str, settings: dict[str, str], *, is_pooled: bool, **limits: Any
) -> asyncpg.Connection:
    if not is_pooled:
        return await connect(dsn, server_settings=_APPLICATION | settings, **limits)
    connection: PooledConnection = await connect(
        dsn, server_settings=_APPLICATION, connection_class=PooledConnection, **limits
    )
    connection.begin_settings = "".join(
        f"SET LOCAL {name} = '{value}';" for name, value in settings.items()
    )
    return connection


def _session_settings(
    *, lock_timeout_s: float, statement_timeout_s: float, idle_timeout_s: float
) -> dict[str, str]:
    return {
        "synchronous_commit": "on",
        "timezone": "UTC",
        # asyncpg queries the catalogue once a connection; JIT makes that take seconds.
        "jit": "off",
        "lock_timeout": _milliseconds(lock_timeout_s),
        "statement_timeout": _milliseconds(statement_timeout_s),
        "idle_in_transaction_session_timeout": _milliseconds(idle_timeout_s),
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))

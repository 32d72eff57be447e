"""The connections to Postgres: how they are made, and their limits."""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from app.errors import ConfigurationError
from app.metrics.catalog import POOL_IN_USE, POOL_LIMIT
from app.metrics.meters import Meters

# asyncpg reads the URL itself, by libpq's rules; SQLAlchemy need only know it.
_DIALECT = "postgresql+asyncpg://"
_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_HOSTS = re.compile(r"(?:(?:\[[\w:.%]+\]|[^\s:@/\[\],]*)(?::\d{1,5})?,?)*")
_PARAMETER = re.compile(r"[A-Za-z_][\w.]*")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Known to libpq alone: sent on to the server, they would stop every connection.
_LIBPQ_ONLY = frozenset(
    {
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)
_MIGRATION_CONNECT_TIMEOUT_S = 10.0
_IDLE_IN_TRANSACTION_TIMEOUT_S = 10.0


def create_engine(
    url: str,
    *,
    pool_size: int = 3,
    pool_timeout_s: float = 1.0,
    connect_timeout_s: float = 2.0,
    command_timeout_s: float = 2.0,
) -> AsyncEngine:
    """Make the engine that serves requests; it connects on first use.

    JSONB parameters are passed as JSON text, and are read back as Python objects.
    There is no ping before use: whoever writes retries on a lost connection.

    Args:
        url: a libpq URL (`postgresql://`, `postgres://`) or SQLAlchemy's form of it.
        pool_size: the most connections; there is no overflow.
        pool_timeout_s: how long to wait for one of them.
        connect_timeout_s: how long making one may take, TLS and login included.
        command_timeout_s: how long a statement may take.
            Postgres gives up on a lock after three quarters of it and on the
            statement after nine tenths, so that the connection stays usable.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    return create_async_engine(
        _DIALECT,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        json_serializer=_as_is,
        connect_args={
            "dsn": dsn_of(url),
            "timeout": connect_timeout_s,
            "command_timeout": command_timeout_s,
            "server_settings": _server_settings(
                lock_timeout_s=command_timeout_s * 0.75,
                statement_timeout_s=command_timeout_s * 0.9,
                idle_timeout_s=_IDLE_IN_TRANSACTION_TIMEOUT_S,
            ),
        },
    )


def create_migration_engine(url: str, *, lock_timeout_s: float) -> AsyncEngine:
    """Make the engine that changes the schema; its statements may take their time.

    Args:
        url: as for `create_engine`.
        lock_timeout_s: how long a statement may wait for a lock. Behind one that
            waits to change a table, all its readers and writers queue.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    return create_async_engine(
        _DIALECT,
        poolclass=NullPool,
        json_serializer=_as_is,
        connect_args={
            "dsn": dsn_of(url),
            "timeout": _MIGRATION_CONNECT_TIMEOUT_S,
            "server_settings": _server_settings(
                lock_timeout_s=lock_timeout_s,
                statement_timeout_s=0,
                idle_timeout_s=0,
            ),
        },
    )


def watch_pool(engine: AsyncEngine, meters: Meters, *, name: str) -> None:
    """Have it told how many connections there may be, and are in use."""
    pool = engine.pool
    if isinstance(pool, QueuePool):
        meters.watch({POOL_IN_USE: pool.checkedout, POOL_LIMIT: pool.size}, name)


def _as_is(json_text: str) -> str:
    return json_text


def _server_settings(
    *, lock_timeout_s: float, statement_timeout_s: float, idle_timeout_s: float
) -> dict[str, str]:
    """Sent at login, so that no default of a role or database outranks them."""
    return {
        "application_name": "rollcall",
        "synchronous_commit": "on",
        "timezone": "UTC",
        # asyncpg asks the catalogue once a connection; JIT makes that take seconds.
        "jit": "off",
        "lock_timeout": _milliseconds(lock_timeout_s),
        "statement_timeout": _milliseconds(statement_timeout_s),
        "idle_in_transaction_session_timeout": _milliseconds(idle_timeout_s),
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def dsn_of(url: str) -> str:
    """The URL as asyncpg takes it; whatever it might misread is refused here.

    An unescaped character in a password shifts the parts of a URL, and then a
    piece of the password would be shown as a host, a port or a database.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise _not_a_url() from None
    if not _well_formed(parts) or not all(map(_PARAMETER.fullmatch, query)):
        raise _not_a_url()
    return urlunsplit(
        ("postgresql", parts.netloc, parts.path, urlencode(_parameters(query)), "")
    )


def _well_formed(parts: SplitResult) -> bool:
    return (
        parts.scheme in _SCHEMES
        and parts.netloc.count("@") <= 1
        and _HOSTS.fullmatch(parts.netloc.rpartition("@")[2]) is not None
        and not {"@", "/"} & set(parts.path[1:])
        and not parts.fragment
    )


def _parameters(query: dict[str, str]) -> dict[str, str]:
    """The query parameters that asyncpg, or else Postgres, understands."""
    kept = {name: value for name, value in query.items() if name not in _LIBPQ_ONLY}
    if "ssl" in kept:  # SQLAlchemy's name for it
        kept.setdefault("sslmode", kept.pop("ssl"))
    if kept.get("sslmode", "prefer") not in _SSL_MODES:
        raise ConfigurationError(
            f"The database URL's sslmode must be one of {', '.join(_SSL_MODES)}."
        )
    if kept.pop("channel_binding", "prefer") == "require":
        raise ConfigurationError(
            "The database URL asks for channel_binding=require, which the driver"
            " cannot do; use sslmode=verify-full with sslrootcert instead."
        )
    return kept


def _not_a_url() -> ConfigurationError:
    return ConfigurationError(
        "The database URL is not one that Postgres takes; it looks like"
        " postgresql://USER:PASSWORD@HOST:5432/DATABASE, and characters such as"
        " @ / : ? # % in the user or password are percent-encoded."
    )

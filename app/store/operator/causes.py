"""Causes of database errors: one phrase and one remedy for each.

SQLSTATEs are those of PostgreSQL's appendix A, "PostgreSQL Error Codes".
"""

import asyncio
import socket
import ssl
from typing import NamedTuple

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class Cause(NamedTuple):
    """Why a database operation failed.

    Attributes:
        kind: label of the metric `rollcall_commit_failures_total`.
        reason: noun phrase for logs and `/readyz`, such as `password refused`.
        advice: sentence that says what to do.
        is_configuration: whether waiting cannot help, because the URL, the role or
            the database is wrong.
    """

    kind: str
    reason: str
    advice: str
    is_configuration: bool = False


_WAIT = "It usually passes by itself; the server's log has the details."
_RIGHTS = "Run migrations/roles.sql as the owner, and grant its roles to this role."
# By SQLSTATE, else by its first two characters.
_CAUSES = {
    "08P01": Cause(
        "connection",
        "connection parameters refused",
        "If ROLLCALL_DATABASE_URL leads to a pooler such as PgBouncer, set"
        " ROLLCALL_POOLER=transaction.",
        is_configuration=True,
    ),
    **dict.fromkeys(
        ("26000", "42P05"),
        Cause(
            "other",
            "prepared statements lost",
            "The pooler does not support them: use PgBouncer 1.21 or later with"
            " max_prepared_statements above 0.",
            is_configuration=True,
        ),
    ),
    "25006": Cause(
        "read_only",
        "database is read-only",
        "Point ROLLCALL_DATABASE_URL at the primary, or add"
        " target_session_attrs=read-write to it.",
    ),
    "28P01": Cause(
        "other",
        "password refused",
        "Correct the user or the password in ROLLCALL_DATABASE_URL.",
        is_configuration=True,
    ),
    "28000": Cause(
        "other",
        "login refused",
        "Check that the role exists and may log in, and that pg_hba.conf lets it in"
        " from here, with or without TLS.",
        is_configuration=True,
    ),
    "3D000": Cause(
        "other",
        "database does not exist",
        "Create it with CREATE DATABASE, or correct its name in ROLLCALL_DATABASE_URL.",
        is_configuration=True,
    ),
    "42501": Cause("other", "permission denied", _RIGHTS, is_configuration=True),
    "42704": Cause(
        "other",
        "unknown setting or object",
        "Correct the parameters after the ? of ROLLCALL_DATABASE_URL.",
        is_configuration=True,
    ),
    "42P01": Cause(
        "other", "table missing", "Run `rollcall migrate`.", is_configuration=True
    ),
    "42703": Cause(
        "other", "column missing", "Run `rollcall migrate`.", is_configuration=True
    ),
    "53100": Cause("resources", "disk full", "Free disk space on the database server."),
    "53200": Cause("resources", "out of memory", "Give the server more memory."),
    "53300": Cause(
        "resources",
        "too many connections",
        "Raise max_connections, or run fewer workers: docs/settings.md counts them.",
    ),
    "55P03": Cause(
        "lock",
        "table or row locked",
        "Look in pg_stat_activity for the session that holds the lock.",
    ),
    "57014": Cause("timeout", "statement timed out", _WAIT),
    "57P03": Cause("shutdown", "server starting up or shutting down", _WAIT),
    "08": Cause("connection", "connection lost", _WAIT),
    "22": Cause(
        "other",
        "value refused",
        "If the login fails, correct the parameters in ROLLCALL_DATABASE_URL.",
    ),
    "23": Cause("other", "constraint violated", "The server's log has the details."),
    "40": Cause("conflict", "conflict with another transaction", _WAIT),
    "42": Cause("other", "statement refused", "Run `rollcall migrate`."),
    "53": Cause("resources", "server resources exhausted", _WAIT),
    "57": Cause("shutdown", "connection ended by the server", _WAIT),
    "58": Cause("resources", "input/output error", "Check the disk of the server."),
    "XX": Cause(
        "other", "internal error of Postgres", "The server's log has the details."
    ),
}
_OTHER = Cause("other", "statement failed", "The server's log has the details.")
_IS_RUNNING = "Check the host and port, and that the server runs."
# Without a SQLSTATE: the first class that the error, or its cause, belongs to.
_EXCEPTIONS: tuple[tuple[type[BaseException], Cause], ...] = (
    (
        ssl.SSLCertVerificationError,
        Cause(
            "connection",
            "server certificate not trusted",
            "Correct sslrootcert or the host name, or use another sslmode.",
            is_configuration=True,
        ),
    ),
    (ssl.SSLError, Cause("connection", "TLS failed", "Check the server's TLS.")),
    (
        socket.gaierror,
        Cause(
            "connection",
            "host name cannot be resolved",
            "Check the host in ROLLCALL_DATABASE_URL, and the DNS of this machine.",
        ),
    ),
    (PoolTimeoutError, Cause("timeout", "all connections in use", _WAIT)),
    (TimeoutError, Cause("timeout", "no answer in time", _IS_RUNNING)),
    (asyncio.CancelledError, Cause("timeout", "no answer in time", _IS_RUNNING)),
    (ConnectionRefusedError, Cause("connection", "connection refused", _IS_RUNNING)),
    (
        FileNotFoundError,
        Cause("connection", "socket or file does not exist", _IS_RUNNING),
    ),
    (
        asyncpg.ClientConfigurationError,
        Cause(
            "other",
            "database URL not usable",
            "Correct ROLLCALL_DATABASE_URL.",
            is_configuration=True,
        ),
    ),
    (
        asyncpg.TargetServerAttributeNotMatched,
        Cause(
            "read_only",
            "no host with the wanted target_session_attrs",
            "Check which server is the primary, or remove target_session_attrs.",
        ),
    ),
)
_TLS_MISSING = Cause(
    "connection",
    "server does not offer TLS",
    "Turn on TLS in the server, or use sslmode=prefer.",
    is_configuration=True,
)
_LOST = Cause("connection", "connection lost", _IS_RUNNING)


def cause_of(error: BaseException) -> Cause:
    """Return the cause of an error that a use of the database raised."""
    state = sqlstate_of(error)
    if state:
        return _CAUSES.get(state) or _CAUSES.get(state[:2], _OTHER)
    for each in (error, driver_error(error)):
        for kind, cause in _EXCEPTIONS:
            if isinstance(each, kind):
                return cause
        if isinstance(each, ConnectionError) and "rejected SSL" in str(each):
            return _TLS_MISSING
    return _LOST


def sqlstate_of(error: BaseException) -> str:
    """Return the five characters; none if Postgres did not answer."""
    return getattr(driver_error(error), "sqlstate", None) or ""


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's own error, from below those of SQLAlchemy."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.driver_exception
    return error

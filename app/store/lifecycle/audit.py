"""The audit log: actions of operators with ids and counts, never with payloads."""

import getpass
from typing import Any

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

SERVICE = "service"

_INSERT = text("""
INSERT INTO audit_log (actor, action, subject, details)
VALUES (:actor, :action, :subject, :details)
""").bindparams(bindparam("details", type_=JSONB))
_EXPIRE = text("SELECT rollcall_expire_audit(:days)")


def command_actor() -> str:
    """Return the actor of a command: `cli:` and the operating system user."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without an entry, as in some containers
        return "cli:unknown"


async def record_action(
    connection: AsyncConnection,
    /,
    action: str,
    *,
    actor: str,
    subject: str | None = None,
    **details: Any,
) -> None:
    """Add a row to the audit log, in the caller's transaction.

    Args:
        connection: connection of the action itself, so that both are committed.
        action: name such as `key.create`.
        actor: `key:ID`, `cli:USER` or `service`.
        subject: id of the object of the action.
        details: counts and ids; never a payload, a user id or an email address.
    """
    await connection.execute(
        _INSERT,
        {
            "actor": actor,
            "action": action,
            "subject": subject,
            "details": orjson.dumps(details).decode(),
        },
    )


async def expire_audit(connection: AsyncConnection, *, days: int) -> int:
    """Delete the months older than some days (at least 90); return the rows."""
    deleted: int = await connection.scalar(_EXPIRE, {"days": days})
    if deleted:
        await record_action(connection, "audit.expire", actor=SERVICE, rows=deleted)
    return deleted

"""Leases: tasks that only one process of all instances does at a time."""

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.request_errors import UnavailableError
from app.store.query import ask

Task: TypeAlias = Callable[[], Awaitable[int]]

# Shorter than an hour, so that the process that did a task last can do it again.
_ALMOST_AN_HOUR_S = 3500.0
_TIMEOUT_S = 10.0
_TAKE = text("""
INSERT INTO leases AS held (name, holder, expires_at)
VALUES (:name, :holder, now() + make_interval(secs => :seconds))
ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE held.holder = excluded.holder OR held.expires_at < now()
RETURNING true
""")
_END = text("DELETE FROM leases WHERE name = :name AND holder = :holder")


def new_holder() -> str:
    """A name for one run of a task: host, pid and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


async def take_lease(
    connection: AsyncConnection, *, name: str, holder: str, seconds: float
) -> bool:
    """Take or extend a lease for some seconds; returns whether the holder has it."""
    parameters = {"name": name, "holder": holder, "seconds": seconds}
    return bool(await connection.scalar(_TAKE, parameters))


async def end_lease(connection: AsyncConnection, *, name: str, holder: str) -> None:
    """Give a lease up, so that another process may take it."""
    await connection.execute(_END, {"name": name, "holder": holder})


def once_an_hour(name: str, work: Task, *, engine: AsyncEngine) -> Task:
    """The same task, which only one process of all instances does in an hour.

    Args:
        name: of its lease. It contains the settings of the task, because an instance
            with other settings does something else.
        work: raises UnavailableError if the database fails; another process, or the
            next run, may then try.
        engine: for the lease.
    """

    async def run() -> int:
        holder = new_holder()
        lease = partial(take_lease, name=name, holder=holder, seconds=_ALMOST_AN_HOUR_S)
        if not await _ask(engine, lease):
            return 0
        try:
            return await work()
        except UnavailableError:
            await _ask(engine, partial(end_lease, name=name, holder=holder))
            raise

    return run


_ask = partial(
    ask,
    timeout_s=_TIMEOUT_S,
    failure="The database did not say whether another process does the maintenance.",
)

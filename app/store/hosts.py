"""Connecting to the right one of several hosts, without waiting for a silent one.

asyncpg tries the hosts of a URL one after the other within one time limit, so a host
that is frozen or cut off would hide the new leader behind it. Here all hosts are tried
at once, and the first that suits is taken.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched

from app.store.operator.psql import hosts_of

# Share of the time limit in which a standby is preferred to any other host.
_PREFERENCE = 0.5
# Classes of SQLSTATE that a retry does not change: login, database, rights.
_REFUSALS = ("08", "28", "3D", "42")


async def connect(
    dsn: str,
    *,
    timeout_s: float,
    on_host: Callable[[str], None] | None = None,
    **options: Any,
) -> asyncpg.Connection:
    """Connect to the only host, or to the first of several that suits.

    Args:
        dsn: from `dsn_of`. With several hosts, `target_session_attrs` defaults to
            `read-write`: the service needs the leader.
        timeout_s: for all attempts together.
        on_host: called with the host that was connected to, as `hosts_of` names it.
        options: passed on to `asyncpg.connect`.

    Raises:
        TimeoutError: no host responded in time.
        ConnectionError: none of the hosts is of the wanted kind.
        OSError, asyncpg.PostgresError: as the only host raised it, or one of several.
    """
    hosts = each_host(dsn)
    if len(hosts) == 1:
        hosts = [dsn]
    wanted = _target(dsn) or ("any" if len(hosts) == 1 else "read-write")
    try:
        host, connection = await _connect(
            hosts, wanted, timeout_s=timeout_s, options=options
        )
    except TargetServerAttributeNotMatched:
        raise ConnectionError(f"No host of the database URL is {wanted}.") from None
    if on_host is not None:
        on_host(", ".join(hosts_of(host)) or "default")
    return connection


async def _connect(
    hosts: Sequence[str], wanted: str, *, timeout_s: float, options: dict[str, Any]
) -> tuple[str, asyncpg.Connection]:
    """A connection that suits, after the DSN of its host."""
    if len(hosts) == 1:
        [host] = hosts
        return host, await asyncpg.connect(host, timeout=timeout_s, **options)
    if wanted != "prefer-standby":
        return await _first(hosts, wanted, timeout_s=timeout_s, **options)
    try:
        first_s = timeout_s * _PREFERENCE
        return await _first(hosts, "standby", timeout_s=first_s, **options)
    except (TargetServerAttributeNotMatched, OSError, asyncpg.PostgresError):
        rest_s = timeout_s * (1 - _PREFERENCE)
        return await _first(hosts, "any", timeout_s=rest_s, **options)


def each_host(dsn: str) -> list[str]:
    """A DSN for each host of a DSN, in their order."""
    parts = urlsplit(dsn)
    login, at, places = parts.netloc.rpartition("@")
    if places:
        return [
            urlunsplit(parts._replace(netloc=f"{login}{at}{place}"))
            for place in places.split(",")
        ]
    query = dict(parse_qsl(parts.query))
    hosts = query.get("host", "").split(",")
    ports = query.get("port", "").split(",")
    if len(ports) != len(hosts):
        ports = [ports[0]] * len(hosts)
    return [
        urlunsplit(parts._replace(query=urlencode(_only(query, host=host, port=port))))
        for host, port in zip(hosts, ports, strict=True)
    ]


def _only(query: dict[str, str], **values: str) -> dict[str, str]:
    changed = query | values
    return {name: value for name, value in changed.items() if value}


def _target(dsn: str) -> str | None:
    return dict(parse_qsl(urlsplit(dsn).query)).get("target_session_attrs")


async def _first(
    hosts: Sequence[str], wanted: str, *, timeout_s: float, **options: Any
) -> tuple[str, asyncpg.Connection]:
    """The first connection that suits; all other attempts are ended."""
    attempts = [
        asyncio.create_task(
            asyncpg.connect(
                host, timeout=timeout_s, target_session_attrs=wanted, **options
            )
        )
        for host in hosts
    ]
    chosen: asyncio.Task[asyncpg.Connection] | None = None
    waiting = set(attempts)
    try:
        async with asyncio.timeout(timeout_s):
            while waiting and chosen is None:
                finished, waiting = await asyncio.wait(
                    waiting, return_when=asyncio.FIRST_COMPLETED
                )
                chosen = next((a for a in finished if a.exception() is None), None)
        if chosen is not None:
            return hosts[attempts.index(chosen)], chosen.result()
        raise min(filter(None, (a.exception() for a in attempts)), key=_finality)
    finally:
        for attempt in attempts:
            if attempt is not chosen:
                attempt.cancel()
                attempt.add_done_callback(_discard)


def _finality(error: BaseException) -> int:
    """How final a failure is: the least final one of several hosts decides."""
    if isinstance(error, OSError):
        return 0
    if isinstance(error, TargetServerAttributeNotMatched):
        return 1
    state: str = getattr(error, "sqlstate", None) or ""
    return 3 if state.startswith(_REFUSALS) else 2


def _discard(attempt: asyncio.Task[asyncpg.Connection]) -> None:
    """Close a connection that was made, but came second."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()

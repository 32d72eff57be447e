import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError
from app.store.engine import create_engine, create_migration_engine

SETTINGS = text("""
SELECT name, setting FROM pg_settings WHERE name IN (
    'application_name', 'synchronous_commit', 'TimeZone', 'lock_timeout',
    'statement_timeout', 'idle_in_transaction_session_timeout'
)
""")
ONE = text("SELECT 1")
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


async def read(engine: AsyncEngine, query: Any) -> Sequence[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query)]


@asynccontextmanager
async def first_words() -> AsyncIterator[tuple[int, asyncio.Queue[bytes]]]:
    """A server that hears the first words of each connection, then hangs up."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        heard.put_nowait(await reader.read(4096))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


async def words_of(url: str) -> bytes:
    """What a client that is given a URL, with a free `{port}`, says first."""
    async with first_words() as (port, heard):
        engine = create_engine(url.format(port=port))
        with pytest.raises((OSError, SQLAlchemyError)):
            await read(engine, ONE)
        return await heard.get()


async def test_every_session_is_durable_in_utc_and_limited(database_url: str) -> None:
    engine = create_engine(database_url, command_timeout_s=4)
    assert dict(await read(engine, SETTINGS)) == {
        "application_name": "rollcall",
        "synchronous_commit": "on",
        "TimeZone": "UTC",
        "lock_timeout": "3000",
        "statement_timeout": "3600",
        "idle_in_transaction_session_timeout": "10000",
    }
    await engine.dispose()


async def test_migration_may_run_long_but_not_wait_for_locks(
    database_url: str,
) -> None:
    engine = create_migration_engine(database_url, lock_timeout_s=5)
    settings = dict(await read(engine, SETTINGS))
    assert settings["lock_timeout"] == "5000"
    assert settings["statement_timeout"] == "0"
    assert settings["synchronous_commit"] == "on"


async def test_session_settings_have_the_highest_priority(
    engine: AsyncEngine, database_url: str
) -> None:
    weaker = create_engine(
        f"{database_url}&application_name=x&synchronous_commit=off&timezone=Japan"
        "&options=-c%20synchronous_commit%3Doff%20-c%20statement_timeout%3D0"
    )
    async with engine.begin() as connection:
        name = await connection.scalar(text("SELECT current_database()"))
        await connection.execute(
            text(f"ALTER DATABASE {name} SET synchronous_commit = off")
        )

    ordinary = create_engine(database_url)
    try:
        assert await read(weaker, SETTINGS) == await read(ordinary, SETTINGS)
    finally:
        await weaker.dispose()
        await ordinary.dispose()


# Postgres ends a statement a little earlier than the client would, which a busy machine
# may turn round: these tests give Postgres a limit of their own.


async def test_long_statement_is_ended_and_its_connection_serves_on(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 200"))
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await connection.execute(text("SELECT pg_sleep(60)"))
        await connection.rollback()
        assert await connection.scalar(text("SELECT pg_backend_pid()")) == pid


async def test_wait_for_a_lock_is_limited(engine: AsyncEngine) -> None:
    lock = text("LOCK TABLE events")
    async with engine.begin() as holder, engine.begin() as waiter:
        await holder.execute(lock)
        await waiter.execute(text("SET LOCAL lock_timeout = 200"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await waiter.execute(lock)
        await waiter.rollback()


async def test_wait_for_a_full_pool_is_limited(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=1, pool_timeout_s=0.01)
    async with engine.connect():
        with pytest.raises(PoolTimeoutError):
            await read(engine, ONE)
    assert await read(engine, ONE) == [(1,)]
    await engine.dispose()


async def test_jsonb_goes_in_as_text_and_comes_back_as_objects(
    engine: AsyncEngine,
) -> None:
    query = select(bindparam("value", type_=JSONB))
    async with engine.connect() as connection:
        result = await connection.execute(
            query, {"value": '{"n": 123456789012345678901234567890, "t": "\\u20ac"}'}
        )
        assert result.scalar_one() == {"n": 123456789012345678901234567890, "t": "€"}
        with pytest.raises(DBAPIError):
            await connection.execute(query, {"value": {"n": 1}})


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
async def test_each_usual_scheme_connects(database_url: str, scheme: str) -> None:
    engine = create_engine(f"{scheme}://{database_url.partition('://')[2]}")
    assert await read(engine, ONE) == [(1,)]
    await engine.dispose()


async def test_user_database_and_settings_are_read_from_the_url() -> None:
    words = await words_of(
        "postgres://us%40er:p%2Fw@127.0.0.1:{port}/da%20ta?sslmode=disable"
        "&search_path=a%2Cb&connect_timeout=10&keepalives=1&gssencmode=disable"
    )
    values = words[8:].split(b"\0")
    said = dict(zip(values[::2], values[1::2], strict=False))
    assert said[b"user"] == b"us@er"
    assert said[b"database"] == b"da ta"
    assert said[b"search_path"] == b"a,b"
    assert not {b"connect_timeout", b"keepalives", b"gssencmode"} & said.keys()


@pytest.mark.parametrize("mode", ["prefer", "require"])
@pytest.mark.parametrize("name", ["sslmode", "ssl"])
async def test_tls_is_asked_for_under_either_name(name: str, mode: str) -> None:
    words = await words_of(f"postgresql://u@127.0.0.1:{{port}}/d?{name}={mode}")
    assert words == SSL_REQUEST


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not one that Postgres takes"),
        ("secret", "not one that Postgres takes"),
        ("mysql://u:secret@h/d", "not one that Postgres takes"),
        ("postgresql://u:secr@secret@h/d", "percent-encoded"),
        ("postgresql://u:secret/x@h/d", "percent-encoded"),
        ("postgresql://u:1/secret@h/d", "percent-encoded"),
        ("postgresql://u:1#secret@h/d", "percent-encoded"),
        ("postgresql://u:1?secret@h/d", "percent-encoded"),
        ("postgresql://u:[secret@h/d", "percent-encoded"),
        ("postgresql://u:secret@h:port/d", "percent-encoded"),
        ("postgresql://u:secret@h/d?sslmode=maybe", "verify-full"),
        ("postgresql://u:secret@h/d?channel_binding=require", "verify-full"),
    ],
)
def test_bad_url_is_refused_without_being_shown(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        create_engine(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(ConfigurationError, match=reason):
        create_migration_engine(url, lock_timeout_s=1)


@given(st.text(min_size=1))
def test_any_password_leaves_the_rest_of_the_url(password: str) -> None:
    try:
        shown = repr(create_engine(f"postgresql://u:0secret{password}@h/d"))
    except ConfigurationError as error:
        shown = str(error)
    assert "0secret" not in shown

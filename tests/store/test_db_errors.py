"""Judged by errors that Postgres and the driver really raise."""

import pytest
from asyncpg import ClientConfigurationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.db_errors import (
    DATABASE_ERRORS,
    is_data_error,
    is_read_only,
    lacks_partition,
)
from app.store.engine import create_engine
from app.store.operator.causes import sqlstate_of
from tests.support.postgres.proxy import Proxy


async def failure_of(
    engine: AsyncEngine, statement: str, parameters: dict[str, object] | None = None
) -> Exception:
    """The error that a statement raises; callers catch all of its kinds."""
    with pytest.raises(DATABASE_ERRORS) as caught:
        async with engine.begin() as connection:
            await connection.execute(text(statement), parameters)
    error: Exception = caught.value
    return error


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SELECT 1 / 0", "22012"),
        ("SELECT CAST('x' AS jsonb)", "22P02"),
        ("SELECT CAST('\"\\u0000\"' AS jsonb)", "22P05"),
        ("SELECT repeat('x', 2000000000)", "54000"),
        ("SELECT CAST(repeat('[', 100000) AS jsonb)", "54001"),
        ("INSERT INTO sources VALUES (NULL)", "23502"),
        ("INSERT INTO sources VALUES ('A')", "23514"),
    ],
)
async def test_refused_data_is_classified(
    engine: AsyncEngine, statement: str, state: str
) -> None:
    error = await failure_of(engine, statement)
    assert sqlstate_of(error) == state
    assert is_data_error(error)
    assert not lacks_partition(error)


@pytest.mark.parametrize("value", ["\ud800", 5, b"bytes"])
async def test_unencodable_value_is_refused_data(
    engine: AsyncEngine, value: object
) -> None:
    error = await failure_of(engine, "SELECT CAST(:value AS text)", {"value": value})
    assert is_data_error(error)


@pytest.mark.parametrize(
    "state",
    [
        *("08006", "23000", "23503", "23505", "25006", "40001", "40P01", "42501"),
        *("42P01", "53100", "53200", "53300", "55P03", "57014", "57P01", "58030"),
        *("0A000", "P0001", "XX000", "XX001"),
    ],
)
async def test_transient_errors_are_classified(engine: AsyncEngine, state: str) -> None:
    error = await failure_of(
        engine, f"DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''{state}''; END'"
    )
    assert sqlstate_of(error) == state
    assert not is_data_error(error)
    assert not lacks_partition(error)
    assert is_read_only(error) is (state == "25006")


async def test_row_without_a_partition_is_not_refused_data(engine: AsyncEngine) -> None:
    error = await failure_of(
        engine,
        """INSERT INTO events SELECT
            gen_random_uuid(), '', '', '', '', now(), '', now(), 'epoch', '', '{}', '{}'
        """,
    )
    assert sqlstate_of(error) == "23514"
    assert lacks_partition(error)
    assert not is_data_error(error)


@pytest.mark.parametrize(
    ("setting", "state"), [("work_mem=lots", "22023"), ("no_such_setting=1", "42704")]
)
async def test_refused_login_is_not_refused_data(
    database_url: str, setting: str, state: str
) -> None:
    joint = "&" if "?" in database_url else "?"
    error = await failure_of(create_engine(database_url + joint + setting), "SELECT 1")
    assert sqlstate_of(error) == state
    assert not is_data_error(error)


async def test_missing_response_is_not_refused_data(database_url: str) -> None:
    async with Proxy(database_url).listening() as proxy:
        engine = create_engine(proxy.url, connect_timeout_s=0.05)
        proxy.before(b"SELECT 1", proxy.cut)
        cut = await failure_of(engine, "SELECT 1")
        proxy.freeze()
        silent = await failure_of(engine, "SELECT 1")
    unreachable = await failure_of(engine, "SELECT 1")
    assert not sqlstate_of(silent)
    assert not sqlstate_of(unreachable)
    for error in (cut, silent, unreachable):
        assert not is_data_error(error)
        assert not lacks_partition(error)
    await engine.dispose()


async def test_invalid_url_is_not_refused_data() -> None:
    engine = create_engine("postgresql://u@h/d?target_session_attrs=unheard-of")
    error = await failure_of(engine, "SELECT 1")
    assert isinstance(error, DBAPIError)
    assert isinstance(error.driver_exception, ClientConfigurationError)
    assert not is_data_error(error)

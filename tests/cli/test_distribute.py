"""`rollcall distribute` where there is no Citus."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from app.cli import build_commands
from app.errors import SchemaError


def distribute(url: str) -> Result:
    return CliRunner().invoke(
        build_commands(),
        ["distribute", "--buckets", "4", "--yes"],
        env={"ROLLCALL_DATABASE_URL": url, "ROLLCALL_TEST_CITUS_URL": None},
    )


async def test_distribute_on_a_single_server_changes_nothing(
    database_url: str, engine: AsyncEngine
) -> None:
    result = await asyncio.to_thread(distribute, database_url)
    assert isinstance(result.exception, SchemaError)
    assert "no extension citus" in str(result.exception)
    assert "holds for ever" not in result.stderr
    async with engine.connect() as connection:
        buckets = await connection.scalars(text("SELECT bucket FROM buckets"))
        assert buckets.all() == [0]

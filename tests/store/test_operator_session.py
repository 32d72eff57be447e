import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import ConfigurationError, DatabaseError, KeyNotFoundError
from app.store.operator_session import in_operator_transaction
from app.store.tables import sources
from tests.support.store.entries import rows


async def add_source(connection: AsyncConnection) -> str:
    await connection.execute(text("INSERT INTO sources VALUES ('billing')"))
    return "added"


async def add_source_and_fail(connection: AsyncConnection) -> None:
    await add_source(connection)
    raise KeyNotFoundError("No such key.")


async def add_source_and_break(connection: AsyncConnection) -> None:
    await add_source(connection)
    await connection.execute(text("SELECT 1 / 0"))


async def test_changes_of_a_command_are_committed(
    engine: AsyncEngine, database_url: str
) -> None:
    assert await in_operator_transaction(database_url, add_source) == "added"
    assert [row.name for row in await rows(engine, sources)] == ["billing"]


async def test_failed_command_rolls_back_and_keeps_its_error(
    engine: AsyncEngine, database_url: str
) -> None:
    with pytest.raises(KeyNotFoundError, match="No such key"):
        await in_operator_transaction(database_url, add_source_and_fail)
    with pytest.raises(DatabaseError, match=r"22012.*ROLLCALL_DATABASE_URL"):
        await in_operator_transaction(database_url, add_source_and_break)
    assert await rows(engine, sources) == []


async def test_unavailable_database_is_reported_without_its_password(
    closed_address: str,
) -> None:
    with pytest.raises(DatabaseError, match="role u: connection refused") as caught:
        await in_operator_transaction(
            f"postgresql://u:secret@{closed_address}/d", add_source
        )
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        await in_operator_transaction("nonsense", add_source)

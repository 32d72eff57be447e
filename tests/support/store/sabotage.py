"""Ways to make a test's own database misbehave, and to mend it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_PARTITIONS = text("""
SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass
""")
_FUNCTION = """
CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    {body};
    RETURN NEW;
END
$function$
"""


async def run(engine: AsyncEngine, *statements: str) -> None:
    """Run statements in one transaction and commit it."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def sabotage(
    engine: AsyncEngine,
    body: str,
    *,
    table: str = "events",
    when: str = "true",
    at_commit: bool = False,
) -> None:
    """Run some PL/pgSQL for each row that is inserted and meets the condition."""
    kind, timing, deferral = "", "BEFORE", ""
    if at_commit:
        kind, timing = "CONSTRAINT", "AFTER"
        deferral = "DEFERRABLE INITIALLY DEFERRED"
    await run(
        engine,
        _FUNCTION.format(body=body),
        f"CREATE {kind} TRIGGER sabotage {timing} INSERT ON {table} {deferral}"
        f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION sabotage()",
    )


async def mend(engine: AsyncEngine) -> None:
    """Undo the sabotage."""
    await run(engine, "DROP FUNCTION sabotage() CASCADE")


def raising(state: str) -> str:
    """A PL/pgSQL statement that raises an error of this SQLSTATE."""
    return f"RAISE EXCEPTION 'sabotage' USING ERRCODE = '{state}'"


async def end_other_sessions(engine: AsyncEngine) -> None:
    """End every session on this database but the one that does it."""
    await run(
        engine,
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def set_read_only(engine: AsyncEngine, value: str) -> None:
    """Decide whether sessions that begin from now on are read-only."""
    setting = f"default_transaction_read_only = {value}"
    await run(
        engine,
        f"DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET {setting}'',"
        " current_database()); END'",
    )


async def drop_partitions(engine: AsyncEngine) -> None:
    """Drop those of every week."""
    async with engine.begin() as connection:
        for name in await partitions(connection):
            await connection.execute(text(f"DROP TABLE {name}"))


async def partitions(connection: AsyncConnection) -> list[str]:
    """The names of the partitions of `events`."""
    return [*await connection.scalars(_PARTITIONS)]

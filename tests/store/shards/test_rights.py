"""Rights of the service's role on shards."""

import secrets

from sqlalchemy.engine import make_url

from app.store.engine import create_engine
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from migrations.statements import read_script
from tests.support.postgres.citus import execute
from tests.support.store.entries import record, save


async def test_service_role_stores_events_and_conflicts(
    citus_database_url: str,
) -> None:
    """The servers of the cluster trust local connections."""
    name = f"rollcall_test_{secrets.token_hex(6)}"
    await execute(
        citus_database_url,
        read_script("roles.sql"),
        f"CREATE ROLE {name} LOGIN IN ROLE rollcall_service",
    )
    url = make_url(citus_database_url).set(username=name)
    engine = create_engine(url.render_as_string(hide_password=False))
    try:
        assert await save(engine, record("a", plan="x")) == [STORED]
        assert await save(engine, record("a", plan="x")) == [DUPLICATE]
        assert await save(engine, record("a", plan="y")) == [
            CONFLICT._replace(kept=True)
        ]
    finally:
        await engine.dispose()
        await execute(citus_database_url, f"DROP ROLE {name}")

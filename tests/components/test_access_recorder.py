"""The use of keys and the reads of payloads, while the database comes and goes."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.components.access_recorder import AccessRecorder
from app.metrics.counters import Metrics
from app.store.keys.keys import create_key, hash_key, key_id
from app.store.keys.scopes import Reader
from app.store.service_queries import ServiceQueries
from tests.support.limits import PATIENCE_S
from tests.support.metrics.samples import figures_of

AWAY = "ALTER TABLE audit_log RENAME TO away"
BACK = "ALTER TABLE away RENAME TO audit_log"
READS = "SELECT actor, details ->> 'requests', details -> 'paths' FROM audit_log"


async def execute(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


async def test_reads_are_one_row_a_key_and_wait_while_the_log_cannot_be_written(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as connection:
        key = await create_key(connection, source="ann", scope="read")
        await connection.execute(text("DELETE FROM audit_log"))
    digest = hash_key(key.encode())
    reader = Reader("ann", key_id(digest), "read")
    today = datetime.now(UTC).date()
    metrics = Metrics({"route": (), "code": ()})
    recorder = AccessRecorder(ServiceQueries(engine, timeout_s=PATIENCE_S), metrics)
    recorder.watch(lambda: {digest})

    await execute(engine, AWAY)
    recorder.count_read(reader, "/v1/events")
    await recorder.flush()
    assert figures_of(metrics).samples[("rollcall_audit_failures_total", ())] == 1
    await execute(engine, BACK)
    recorder.count_read(reader, "/v1/events")
    recorder.count_read(reader, "/overview")
    await recorder.flush()
    await recorder.flush()

    async with engine.connect() as connection:
        rows = [tuple(row) for row in await connection.execute(text(READS))]
        used = await connection.scalar(
            text("SELECT count(*) FROM write_keys WHERE last_used_on >= :today"),
            {"today": today},
        )
    assert rows == [(f"key:{reader.key_id}", "3", {"/v1/events": 2, "/overview": 1})]
    assert used == 1

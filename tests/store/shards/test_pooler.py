"""Shards through PgBouncer, which gives each transaction another session."""

from app.store.dsn import with_pooler
from app.store.engine import create_engine
from app.store.quarantine.replay import Replayed, replay
from app.store.read.filters import RejectedFilter
from app.store.service_queries import ServiceQueries
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import POLICY, signed_up_with
from tests.support.postgres.citus import execute
from tests.support.postgres.pgbouncer import pgbouncer
from tests.support.store.entries import counts, record, records, save
from tests.support.store.rejections import rejection


async def test_events_are_stored_and_replayed_through_a_pooler(
    citus_database_url: str,
) -> None:
    await execute(
        citus_database_url,
        "DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
        " current_database()); END $do$",
    )
    async with pgbouncer(citus_database_url) as pooler:
        engine = create_engine(with_pooler(pooler.url))
        await ServiceQueries(engine, timeout_s=PATIENCE_S).check_ready()
        events = [*records(40), record("m", plan="a")]
        assert await save(engine, *events) == [STORED] * 41
        assert await save(engine, *events) == [DUPLICATE] * 41
        [outcome] = await save(engine, record("m", plan="b"))
        assert outcome == CONFLICT._replace(kept=True)
        assert await counts(engine) == (41, 41, 1)

        await save(engine, rejection(signed_up_with(user_id="u", message_id="late")))
        batches: list[Replayed] = []
        await replay(
            engine, RejectedFilter(), policy=POLICY, actor="a", report=batches.append
        )
        assert sum(batch.stored for batch in batches) == 1
        await engine.dispose()

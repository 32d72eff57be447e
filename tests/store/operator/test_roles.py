from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.events.catalog import built_in_catalog
from app.pipeline.issues import Issue
from app.pipeline.record import Record, RequestContext
from app.pipeline.rejection import reject
from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.keys.browser_sessions import Sessions
from app.store.keys.codes import create_code
from app.store.keys.keys import create_key, hash_key
from app.store.keys.lookups import find_source
from app.store.migrations import check_schema, migrate
from app.store.quarantine.caps import Quarantine
from app.store.read.events import read_page
from app.store.read.filters import EventFilter
from app.store.read.limiter import QueryLimiter
from app.store.service_queries import ServiceQueries
from app.store.transaction import driver_in_transaction
from app.store.typed_views.update import update_views
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from app.store.write.partitions import ensure_partitions
from migrations.statements import read_script
from tests.conftest import Admin
from tests.support.events.declared import declaration_of
from tests.support.limits import PATIENCE_S
from tests.support.store.entries import commit, committing

OWNER = "rollcall_test_owner"
MAKE_OWNER = f"""
DO $$ BEGIN
    IF to_regrole('{OWNER}') IS NULL THEN CREATE ROLE {OWNER} CREATEROLE; END IF;
END $$
"""
BOTH = "rollcall_test_both"
MAKE_BOTH = f"""
DO $$ BEGIN
    IF to_regrole('{BOTH}') IS NULL THEN CREATE ROLE {BOTH}; END IF;
    GRANT rollcall_service, rollcall_reader TO {BOTH};
END $$
"""
PARTITION = """
SELECT min(inhrelid::regclass::text) FROM pg_inherits
WHERE inhparent = 'events'::regclass
"""
RECEIVED_AT = datetime(2023, 11, 2, tzinfo=UTC)
RECEIPT = RequestContext("billing", RECEIVED_AT, "r1")


def record(*, content_hash: bytes = b"0123456789abcdef") -> Record:
    return Record(
        id=str(UUID(int=1)),
        source="billing",
        event="signed_up",
        user_id="u1",
        group_id=None,
        timestamp=RECEIVED_AT,
        timestamp_raw="2023-11-02",
        received_at=RECEIVED_AT,
        message_id="m1",
        properties='{"email": "ann@example.com"}',
        context="{}",
        warnings=(),
        content_hash=content_hash,
        sent={},
        request_id="r1",
    )


def acting_as(role: str, url: str) -> str:
    """The URL of sessions that have the rights of a role and no others."""
    return f"{url}&options={quote(f'-c role={role}')}"


async def make_roles(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        driver = await driver_in_transaction(connection)
        await driver.execute(read_script("roles.sql"))


async def run(
    engine: AsyncEngine, command: str, **parameters: object
) -> Sequence[tuple[Any, ...]]:
    async with engine.begin() as connection:
        result = await connection.execute(text(command), parameters)
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture
def owned_url(admin: Admin, empty_database_url: str) -> str:
    """A database that no superuser, but its owner, has migrated."""
    name = make_url(empty_database_url).database
    admin.scalar(MAKE_OWNER)
    admin.scalar(f"ALTER DATABASE {name} OWNER TO {OWNER}")
    admin.runner.run(migrate(acting_as(OWNER, empty_database_url)))
    return empty_database_url


@pytest.fixture
async def owner(owned_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(acting_as(OWNER, owned_url))
    await make_roles(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def service(owned_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(acting_as("rollcall_service", owned_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def reader(owned_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(acting_as("rollcall_reader", owned_url))
    yield engine
    await engine.dispose()


async def test_making_the_roles_again_changes_nothing(owner: AsyncEngine) -> None:
    await make_roles(owner)


async def test_reader_reads_the_view_of_a_declared_event(
    owner: AsyncEngine, owned_url: str, reader: AsyncEngine
) -> None:
    await update_views(
        acting_as(OWNER, owned_url), [declaration_of(plan={"type": "text"})]
    )
    with pytest.raises(DBAPIError, match="permission denied"):
        await run(reader, "SELECT plan FROM trial_started")
    await make_roles(owner)

    assert await run(reader, "SELECT plan, timestamp_iso FROM trial_started") == []
    assert await run(reader, "SELECT event FROM event_declarations") == [
        ("trial_started",)
    ]


async def test_service_stores_events(owner: AsyncEngine, service: AsyncEngine) -> None:
    other = record(content_hash=b"another content.")
    rejection = reject(
        {}, request_context=RECEIPT, errors=[Issue("bad", "", "It is bad.")]
    )

    async with committing(service, timeout_s=PATIENCE_S) as committer:
        assert await committer.commit([record()]) == [STORED]
        assert await committer.commit([record(), other]) == [DUPLICATE, CONFLICT]
        for _ in range(2):
            [outcome] = await committer.commit([rejection])
            assert outcome is not None
            assert outcome.kept

    assert await run(owner, "SELECT email FROM signed_up") == [("ann@example.com",)]
    reasons = await run(owner, "SELECT reason FROM rejected_events ORDER BY reason")
    assert reasons == [("bad",), ("id_conflict",)]


async def test_service_drops_rejections_above_the_cap_and_deletes_old_ones(
    owner: AsyncEngine, service: AsyncEngine
) -> None:
    rejections = [
        reject(
            {"n": n}, request_context=RECEIPT, errors=[Issue("bad", "", "It is bad.")]
        )
        for n in range(2)
    ]

    one = Quarantine(max_events=1)
    async with committing(service, timeout_s=PATIENCE_S, quarantine=one) as committer:
        for _ in range(2):
            outcomes = await committer.commit([*rejections])
            assert [outcome and outcome.kept for outcome in outcomes] == [True, False]
    assert await run(owner, "SELECT sum(events) FROM rejected_drops") == [(2,)]

    assert (
        await ServiceQueries(service, timeout_s=PATIENCE_S).expire_rejected(days=30)
        == 2
    )
    assert await run(owner, "TABLE rejected_events") == []
    assert await run(owner, "TABLE rejected_drops") == []


async def test_service_makes_a_missing_partition_that_it_does_not_own(
    owner: AsyncEngine, service: AsyncEngine
) -> None:
    [(partition,)] = await run(owner, PARTITION)
    await run(owner, f"DROP TABLE {partition}")

    assert await commit(service, record(), timeout_s=PATIENCE_S) == [STORED]

    [(maker,)] = await run(
        owner,
        "SELECT tableowner FROM pg_tables WHERE tablename = :name",
        name=partition,
    )
    assert maker == OWNER
    assert await run(owner, "SELECT tableoid::regclass::text FROM events") == [
        (partition,)
    ]


async def test_service_starts_and_knows_its_keys(
    owner: AsyncEngine, service: AsyncEngine
) -> None:
    async with owner.begin() as connection:
        key = await create_key(connection, source="billing")

    async with service.begin() as connection:
        await check_schema(connection)
        assert await ensure_partitions(connection) == 0
        source = await find_source(connection, key_hash=hash_key(key.encode()))
    assert source == "billing"


@pytest.mark.parametrize(
    "command",
    [
        "DROP TABLE events",
        "DROP TABLE {partition}",
        "DROP VIEW signed_up",
        "ALTER TABLE events ADD COLUMN extra text",
        "ALTER TABLE events DETACH PARTITION {partition}",
        "ALTER FUNCTION rollcall_ensure_partitions(integer) SECURITY INVOKER",
        "CREATE TABLE mine ()",
        "TRUNCATE events",
        "DELETE FROM events",
        "DELETE FROM event_ids",
        "UPDATE rejected_events SET payload = ''",
        "UPDATE events SET user_id = 'x'",
        "UPDATE event_ids SET stored_at = now()",
        "SELECT user_id FROM events",
        "SELECT user_id FROM {partition}",
        "INSERT INTO {partition} SELECT * FROM events",
        "SELECT email FROM signed_up",
        "SELECT payload FROM rejected_events",
        "INSERT INTO sources VALUES ('mine')",
        "INSERT INTO write_keys (id, key_hash, source) VALUES ('1', '', 'billing')",
        "UPDATE write_keys SET revoked_at = NULL",
        "INSERT INTO sign_in_codes (code_hash, key_id) VALUES ('', '')",
        "UPDATE sessions SET expires_at = 'infinity'",
        "UPDATE alembic_version SET version_num = '0'",
    ],
)
async def test_service_has_no_other_rights(
    owner: AsyncEngine, service: AsyncEngine, command: str
) -> None:
    [(partition,)] = await run(owner, PARTITION)

    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        await run(service, command.format(partition=partition))


async def test_service_signs_readers_in_and_reads_only_if_granted(
    owner: AsyncEngine, service: AsyncEngine, owned_url: str
) -> None:
    async with owner.begin() as connection:
        key = await create_key(connection, source="ann", scope="read")
        code = await create_code(connection, key=key)
    sessions = Sessions(service, timeout_s=PATIENCE_S)
    for secret, is_code in ((key, False), (code, True)):
        found = await sessions.sign_in(secret.encode(), is_code=is_code)
        assert found is not None
        token = found.encode()
        signed_in = await sessions.reader_of(hash_key(token))
        assert signed_in is not None
        assert signed_in.name == "ann"
        await sessions.sign_out(token)
        assert await sessions.reader_of(hash_key(token)) is None
    assert await sessions.expire() == 0
    lookups = ServiceQueries(service, timeout_s=PATIENCE_S)
    reader = await lookups.reader_of_key(hash_key(key.encode()))
    assert reader is not None
    assert reader.name == "ann"

    wanted = partial(read_page, wanted=EventFilter(user_id="u1"), limit=1)
    await commit(service, record(), timeout_s=PATIENCE_S)
    with pytest.raises(UnavailableError):
        await QueryLimiter(service, timeout_s=PATIENCE_S).ask(wanted)
    superuser = create_engine(owned_url)
    both = create_engine(acting_as(BOTH, owned_url))
    await run(superuser, MAKE_BOTH)
    page = await QueryLimiter(both, timeout_s=PATIENCE_S).ask(wanted)
    assert [row.user_id for row in page.rows] == ["u1"]
    await superuser.dispose()
    await both.dispose()


async def test_reader_can_read(
    owner: AsyncEngine, service: AsyncEngine, reader: AsyncEngine
) -> None:
    async with owner.begin() as connection:
        await create_key(connection, source="billing")
    await commit(service, record(), timeout_s=PATIENCE_S)

    assert await run(reader, "SELECT email FROM signed_up") == [("ann@example.com",)]
    assert await run(reader, "SELECT user_id FROM events") == [("u1",)]
    by_id = "SELECT user_id FROM events JOIN event_ids USING (id, stored_at)"
    assert await run(reader, by_id) == [("u1",)]
    assert await run(reader, "TABLE account_added_user") == []
    for view in built_in_catalog():
        await run(reader, f"TABLE {view}")
    assert await run(reader, "TABLE rejected_events") == []
    assert await run(reader, "TABLE rejected_drops") == []
    assert await run(reader, "SELECT count(*) FROM alembic_version") == [(1,)]
    assert await run(reader, "SELECT key_id, expires_at FROM sessions") == []
    assert await run(reader, "SELECT key_id, expires_at FROM sign_in_codes") == []
    rows = await run(
        reader,
        "SELECT source, revoked_at FROM write_keys JOIN sources ON name = source",
    )
    assert rows == [("billing", None)]


@pytest.mark.parametrize(
    "command",
    [
        "SELECT key_hash FROM write_keys",
        "SELECT * FROM write_keys",
        "SELECT token_hash FROM sessions",
        "SELECT code_hash FROM sign_in_codes",
        "DELETE FROM sessions",
        "SELECT rollcall_ensure_partitions()",
        "INSERT INTO event_ids VALUES (gen_random_uuid(), now(), '')",
        "INSERT INTO events SELECT * FROM events",
        "INSERT INTO sources VALUES ('mine')",
        "UPDATE rejected_events SET reason = ''",
        "DELETE FROM events",
        "TRUNCATE rejected_events",
        "DELETE FROM rejected_drops",
        "CREATE TABLE mine ()",
        "DROP VIEW signed_up",
    ],
)
@pytest.mark.usefixtures("owner")
async def test_reader_cannot_write(reader: AsyncEngine, command: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        await run(reader, command)

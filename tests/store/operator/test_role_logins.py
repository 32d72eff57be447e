"""Rights of logins that have one role of migrations/roles.sql each."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.persons.person import Person
from app.store.engine import create_engine
from app.store.keys.keys import create_key, hash_key, key_id, revoke_key, rotate_key
from app.store.lifecycle.erasure import erase_person, scrub
from app.store.lifecycle.retention import Limit
from app.store.operator.rights import has_rights, missing_rights
from app.store.quarantine.actions import QuarantineActions
from app.store.quarantine.queries import purge
from app.store.read.filters import RejectedFilter
from app.store.service_queries import ServiceQueries
from app.store.transaction import driver_in_transaction
from migrations.statements import read_script
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import POLICY, SIGNED_UP
from tests.support.store.entries import record, save
from tests.support.store.rejections import commit, read, rejection
from tests.support.store.weeks import fill_week

ROLES = ("service", "reader", "operator", "eraser")
LOGIN = "rollcall_test_{role}_1"
MAKE_LOGIN = """
DO $$ BEGIN
    IF to_regrole('{name}') IS NULL THEN CREATE ROLE {name} LOGIN; END IF;
    GRANT {granted} TO {name};
END $$
"""
REFUSALS = ("permission denied", "must be owner", "cannot insert a non-DEFAULT")

Login = Callable[[str], AsyncEngine]


@pytest.fixture
async def owner(engine: AsyncEngine) -> AsyncEngine:
    """The owner of the tables; the roles exist."""
    async with engine.begin() as connection:
        driver = await driver_in_transaction(connection)
        await driver.execute(read_script("roles.sql"))
    return engine


@pytest.fixture
async def login(owner: AsyncEngine, database_url: str) -> AsyncIterator[Login]:
    """Log in with one of the roles; `console` has those of a service that may act."""
    granted = {role: f"rollcall_{role}" for role in ROLES}
    granted["console"] = ", ".join(granted[role] for role in ROLES[:3])
    for role, names in granted.items():
        name = LOGIN.format(role=role)
        await read(owner, MAKE_LOGIN.format(name=name, granted=names))
    async with AsyncExitStack() as stack:

        def log_in(role: str) -> AsyncEngine:
            engine = create_engine(url_of(role, database_url))
            stack.push_async_callback(engine.dispose)
            return engine

        yield log_in


def url_of(role: str, database_url: str) -> str:
    url = make_url(database_url).set(username=LOGIN.format(role=role))
    return url.render_as_string(hide_password=False)


async def test_service_role_serves_and_deletes_what_is_old(
    owner: AsyncEngine, login: Login
) -> None:
    await fill_week(owner, 9)
    service = login("service")
    async with service.connect() as connection:
        assert await missing_rights(connection) == []
    [stored] = await save(service, record("m1"))
    assert stored.status == "stored"
    old = datetime.now(UTC) - timedelta(days=99)
    await commit(service, rejection({"n": 1}, received_at=old))
    queries = ServiceQueries(service, timeout_s=PATIENCE_S)
    assert await queries.expire_rejected(days=30) == 1
    assert await queries.expire_events(limit=Limit(30)) == 200
    assert await queries.make_partitions() == 0
    await queries.record_reads({"0a1b2c3d4e5f": {"/v1/events": 2}})
    assert await queries.expire_audit(days=90) == 0
    actions = await read(owner, "SELECT DISTINCT actor FROM audit_log ORDER BY 1")
    assert actions == [("key:0a1b2c3d4e5f",), ("service",)]


async def test_service_role_lacks_the_function_of_shards_until_it_is_granted(
    owner: AsyncEngine, login: Login
) -> None:
    name = "rollcall_store_in_bucket"
    await read(owner, f"CREATE FUNCTION {name}() RETURNS int RETURN 1")
    await read(owner, f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC")
    service = login("service")
    async with service.connect() as connection:
        assert await missing_rights(connection) == [f"EXECUTE on {name}"]
    await read(owner, f"GRANT EXECUTE ON FUNCTION {name}() TO rollcall_service")
    async with service.connect() as connection:
        assert await missing_rights(connection) == []


@pytest.mark.parametrize("role", ["operator", "console"])
async def test_operator_role_corrects_replays_purges_and_manages_keys(
    owner: AsyncEngine, login: Login, role: str
) -> None:
    await commit(owner, *(rejection({"n": n}) for n in range(2)))
    await commit(owner, rejection(SIGNED_UP | {"message_id": "m1"}))
    operator = login(role)
    actions = QuarantineActions(operator, POLICY)
    assert await has_rights(operator, "operate")
    [(id_,)] = await read(
        owner, "SELECT id FROM rejected_events WHERE payload LIKE '{_n%0}'"
    )
    correction = '{"event":"signed_up","user_id":"u","timestamp":"2024-05-06T07:08:09Z"'
    correction += ',"properties":{"email":"a@example.com"}}'
    found = await actions.correct(id_, correction, actor="key:1")
    assert found.status == "stored"
    await actions.replay(RejectedFilter(), actor="key:1", report=lambda _: None)
    await purge(
        operator,
        RejectedFilter(is_corrected=False),
        actor="key:1",
        report=lambda _: None,
    )
    assert await read(owner, "SELECT count(*) FROM events") == [(2,)]
    async with operator.begin() as connection:
        key = await create_key(connection, source="crm", actor="key:1")
        id_ = key_id(hash_key(key.encode()))
        keep = timedelta(hours=1)
        await rotate_key(connection, id_=id_, actor="key:1", keep=keep)
        await revoke_key(connection, id_=id_, actor="key:1")
    audited = await read(
        owner, "SELECT action, database_role FROM audit_log ORDER BY id"
    )
    name = LOGIN.format(role=role)
    assert [action for action, _ in audited] == [
        "rejected.correct",
        "rejected.replay",
        "rejected.purge",
        "key.create",
        "key.create",
        "key.rotate",
        "key.revoke",
    ]
    assert {by for _, by in audited} == {name}


async def test_other_roles_may_take_no_action(login: Login) -> None:
    for role in ("service", "reader", "eraser"):
        assert not await has_rights(login(role), "operate")


OPERATOR_RIGHTS = (
    "SELECT ON rejected_events",
    "UPDATE ON rejected_events",
    "DELETE ON rejected_events",
    "INSERT ON events",
    "UPDATE (revoked_at, expires_at) ON write_keys",
    "INSERT ON sources",
)
ERASER_RIGHTS = (
    "SELECT ON events",
    "UPDATE ON events",
    "DELETE ON events",
    "SELECT ON rejected_events",
    "UPDATE ON rejected_events",
    "DELETE ON rejected_events",
    "SELECT ON event_ids",
    "INSERT ON event_ids",
    "UPDATE ON event_ids",
    "INSERT ON erasures",
)


async def test_operator_role_without_one_of_its_rights_may_take_no_action(
    owner: AsyncEngine, login: Login
) -> None:
    operator = login("operator")
    for right in OPERATOR_RIGHTS:
        await read(owner, f"REVOKE {right} FROM rollcall_operator")
        assert not await has_rights(operator, "operate"), right
        await read(owner, f"GRANT {right} TO rollcall_operator")
    assert await has_rights(operator, "operate")


async def test_eraser_role_without_one_of_its_rights_may_not_erase(
    owner: AsyncEngine, login: Login
) -> None:
    eraser = login("eraser")
    for right in ERASER_RIGHTS:
        await read(owner, f"REVOKE {right} FROM rollcall_eraser")
        may_export = right not in {"SELECT ON events", "SELECT ON rejected_events"}
        assert await has_rights(eraser, "export") == may_export, right
        assert not await has_rights(eraser, "erase"), right
        await read(owner, f"GRANT {right} TO rollcall_eraser")
    assert await has_rights(eraser, "export")
    assert await has_rights(eraser, "erase")


@pytest.mark.usefixtures("login")
async def test_eraser_role_erases_but_rewrites_no_table(
    owner: AsyncEngine, database_url: str
) -> None:
    await save(owner, record("m1", user_id="zoe"), record("m2"))
    url = url_of("eraser", database_url)
    done = await erase_person(url, Person("zoe"), redact=True, actor="cli:ann")
    assert len(done.own) == 1
    assert await read(owner, "SELECT count(*) FROM events") == [(1,)]
    [(by,)] = await read(owner, "SELECT erased_by FROM erasures")
    assert by == f"{LOGIN.format(role='eraser')} / cli:ann"
    assert await scrub(url, done.tables) == [*done.tables, "pg_statistic"]
    assert await scrub(database_url, done.tables) == []


async def test_reader_role_reads_and_writes_nothing(login: Login) -> None:
    reader = login("reader")
    assert await read(reader, "SELECT count(*) FROM signed_up") == [(0,)]
    assert await read(reader, "SELECT actor, details FROM audit_log") == []


FORBIDDEN = {
    "service": [
        "SELECT user_id FROM events",
        "SELECT payload FROM rejected_events",
        "TABLE audit_log",
        "INSERT INTO write_keys (id, key_hash, source) VALUES ('1', '', 'billing')",
        "INSERT INTO erasures VALUES (gen_random_uuid(), now(), 'me', '{}')",
        "UPDATE event_ids SET erased_at = NULL",
    ],
    "reader": [
        "SELECT key_hash FROM write_keys",
        "INSERT INTO audit_log (actor, action) VALUES ('me', 'read')",
        "SELECT rollcall_expire_audit(90)",
        "SELECT rollcall_expire_events('events_p20200106', 0, 1)",
        "SELECT rollcall_index_closed_week()",
    ],
    "operator": [
        "UPDATE events SET user_id = 'x'",
        "DELETE FROM events",
        "DELETE FROM event_ids",
        "UPDATE event_ids SET content_hash = ''",
        "SELECT key_hash FROM write_keys",
        "UPDATE write_keys SET scope = 'erase'",
        "UPDATE write_keys SET source = 'crm'",
        "DELETE FROM write_keys",
        "DELETE FROM sources",
        "SELECT token_hash FROM sessions",
        "INSERT INTO sign_in_codes (code_hash, key_id) VALUES ('', '')",
        "TABLE audit_log",
        "SELECT rollcall_expire_audit(90)",
        "SELECT rollcall_expire_events('events_p20200106', 0, 1)",
        "INSERT INTO erasures VALUES (gen_random_uuid(), now(), 'me', '{}')",
        "TRUNCATE rejected_events",
    ],
    "eraser": [
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM event_ids",
        "UPDATE erasures SET erased_by = 'x'",
        "DELETE FROM erasures",
        "TABLE audit_log",
        "SELECT id FROM write_keys",
        "SELECT rollcall_expire_events('events_p20200106', 0, 1)",
    ],
}
# The time, the role and the number of a row are Postgres's to fill in.
AUDIT = [
    "UPDATE audit_log SET actor = 'x'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "INSERT INTO audit_log (actor, action, at) VALUES ('me', 'read', '2020-01-01')",
    "INSERT INTO audit_log (actor, action, database_role) VALUES ('me', 'x', 'you')",
    "INSERT INTO audit_log (id, actor, action) VALUES (1, 'me', 'read')",
    "DROP TABLE audit_log",
    "CREATE TABLE mine ()",
]


@pytest.mark.parametrize("role", ROLES)
async def test_role_is_denied_everything_else(login: Login, role: str) -> None:
    engine = login(role)
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    allowed = []
    for command in [*FORBIDDEN[role], *AUDIT]:
        async with autocommit.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            try:
                await driver.execute(command)
            except Exception as error:  # noqa: BLE001 - its text is compared
                if any(refusal in str(error) for refusal in REFUSALS):
                    continue
            allowed.append(command)
    assert allowed == []

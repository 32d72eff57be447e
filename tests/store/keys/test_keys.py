import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError, KeyNotFoundError
from app.store.keys.keys import (
    KeyRow,
    create_key,
    hash_key,
    key_id,
    list_keys,
    revoke_key,
    rotate_key,
)
from app.store.keys.lookups import find_reader, find_source, has_write_keys, record_use
from app.store.keys.scopes import Reader, Scope
from app.store.tables import sources, write_keys


async def create(engine: AsyncEngine, source: str, scope: str = "write") -> str:
    async with engine.begin() as connection:
        return await create_key(connection, source=source, scope=scope)


async def find(engine: AsyncEngine, key: str) -> str | None:
    async with engine.connect() as connection:
        return await find_source(connection, key_hash=hash_key(key.encode()))


async def reader(engine: AsyncEngine, key: str) -> Reader | None:
    async with engine.connect() as connection:
        return await find_reader(connection, key_hash=hash_key(key.encode()))


def id_of(key: str) -> str:
    return key_id(hash_key(key.encode()))


async def revoke(engine: AsyncEngine, id_: str) -> KeyRow:
    async with engine.begin() as connection:
        return await revoke_key(connection, id_=id_, actor="cli:ann")


async def test_new_key_leads_to_its_source_and_to_no_other(
    engine: AsyncEngine,
) -> None:
    billing = await create(engine, "billing-backend")
    crm = await create(engine, "crm")

    assert await find(engine, billing) == "billing-backend"
    assert await find(engine, crm) == "crm"
    assert await find(engine, billing + "x") is None
    assert await find(engine, "") is None


async def test_key_is_a_prefix_and_192_random_bits(engine: AsyncEngine) -> None:
    keys = {await create(engine, "billing") for _ in range(20)}

    assert len(keys) == 20
    for key in keys:
        assert key.startswith("rc_")
        assert len(key.removeprefix("rc_")) * 6 == 192


async def test_key_has_one_scope(engine: AsyncEngine) -> None:
    writes = await create(engine, "billing")
    reads = await create(engine, "ann", "read")

    assert (await find(engine, writes), await reader(engine, writes)) == (
        "billing",
        None,
    )
    assert (await find(engine, reads), await reader(engine, reads)) == (
        None,
        Reader("ann", id_of(reads), "read"),
    )
    assert reads.startswith("rc_read_")
    assert len(reads.removeprefix("rc_read_")) * 6 == 192
    async with engine.connect() as connection:
        rows = await list_keys(connection)
    assert [(row.source, row.scope) for row in rows] == [
        ("ann", "read"),
        ("billing", "write"),
    ]


async def test_revoked_read_key_is_dead(engine: AsyncEngine) -> None:
    key = await create(engine, "ann", "read")

    assert (await revoke(engine, id_of(key))).scope == "read"
    assert await reader(engine, key) is None


async def test_key_without_a_scope_in_its_row_writes(engine: AsyncEngine) -> None:
    await create(engine, "billing")
    row = {"id": "x", "key_hash": hash_key(b"rc_old"), "source": "billing"}
    async with engine.begin() as connection:
        await connection.execute(write_keys.insert().values(row))

    assert await find(engine, "rc_old") == "billing"


async def test_database_refuses_other_scopes(engine: AsyncEngine) -> None:
    await create(engine, "billing")
    row = {"id": "x", "key_hash": hash_key(b""), "source": "billing", "scope": "admin"}

    with pytest.raises(IntegrityError, match="write_keys_scope_check"):
        async with engine.begin() as connection:
            await connection.execute(write_keys.insert().values(row))


async def test_only_the_hash_of_a_key_is_stored(engine: AsyncEngine) -> None:
    key = await create(engine, "billing")

    async with engine.connect() as connection:
        row = (await connection.execute(select(write_keys))).one()
        everything = await connection.scalar(text("SELECT k::text FROM write_keys k"))
    assert row.key_hash == hashlib.sha256(key.encode()).digest()
    assert row.id == row.key_hash.hex()[:12]
    assert key not in everything
    assert key.removeprefix("rc_") not in everything


async def test_source_holds_several_live_keys(engine: AsyncEngine) -> None:
    first, second = await create(engine, "billing"), await create(engine, "billing")

    assert await find(engine, first) == await find(engine, second) == "billing"
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(sources)) == 1


@pytest.mark.parametrize("name", ["a", "0", "billing.eu_west-1", "a" * 63])
async def test_valid_source_name_is_accepted(engine: AsyncEngine, name: str) -> None:
    assert await find(engine, await create(engine, name)) == name


@pytest.mark.parametrize(
    "name", ["", "a" * 64, "Billing", "-a", ".a", "a b", "a\n", "\u00e4", "a\x00"]
)
async def test_invalid_source_name_is_refused(engine: AsyncEngine, name: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 63 characters"):
        await create(engine, name)


@pytest.mark.parametrize("name", ["", "a" * 64, "Billing", "-a", "a\n", "\u00e4"])
async def test_database_holds_sources_to_the_same_rule(
    engine: AsyncEngine, name: str
) -> None:
    with pytest.raises(IntegrityError, match="sources_name_check"):
        async with engine.begin() as connection:
            await connection.execute(sources.insert().values(name=name))


async def test_database_refuses_a_hash_that_is_no_sha256(
    engine: AsyncEngine,
) -> None:
    await create(engine, "billing")
    row = {"id": "x", "key_hash": b"short", "source": "billing"}

    with pytest.raises(IntegrityError, match="write_keys_key_hash_check"):
        async with engine.begin() as connection:
            await connection.execute(write_keys.insert().values(row))


@pytest.mark.parametrize("form", [str.lower, str.upper])
async def test_revoked_key_is_dead_and_its_neighbour_lives(
    engine: AsyncEngine, form: Callable[[str], str]
) -> None:
    key, neighbour = await create(engine, "billing"), await create(engine, "billing")
    id_ = hash_key(key.encode()).hex()[:12]

    row = await revoke(engine, form(id_))

    assert (row.id, row.source) == (id_, "billing")
    assert row.revoked_at is not None
    assert row.revoked_at.utcoffset() == timedelta(0)
    assert await find(engine, key) is None
    assert await find(engine, neighbour) == "billing"


async def test_key_revoked_twice_keeps_its_first_time(engine: AsyncEngine) -> None:
    key = await create(engine, "billing")

    assert await revoke(engine, id_of(key)) == await revoke(engine, id_of(key))


@pytest.mark.parametrize("unknown", ["rc_nobody-has-this", "000000000000", ""])
async def test_revoking_an_unknown_key_says_where_to_look(
    engine: AsyncEngine, unknown: str
) -> None:
    await create(engine, "billing")

    with pytest.raises(KeyNotFoundError, match="keys list") as caught:
        await revoke(engine, unknown)
    assert "nobody-has-this" not in str(caught.value)
    async with engine.begin() as connection:
        with pytest.raises(KeyNotFoundError, match="keys list"):
            await rotate_key(
                connection, id_=unknown, actor="cli:ann", keep=timedelta(hours=1)
            )


async def test_revoking_by_the_key_itself_is_refused(engine: AsyncEngine) -> None:
    key = await create(engine, "billing")

    with pytest.raises(KeyNotFoundError, match="may have been seen") as caught:
        await revoke(engine, key)
    assert key not in str(caught.value)
    assert await find(engine, key) == "billing"


async def make(engine: AsyncEngine, **options: Any) -> str:
    async with engine.begin() as connection:
        return await create_key(connection, source="billing", **options)


@pytest.mark.parametrize("scope", [*Scope, "read:crm"])
async def test_key_has_the_scope_that_it_was_created_with(
    engine: AsyncEngine, scope: str
) -> None:
    key = await make(engine, scope=scope)
    assert key.startswith("rc_")
    found = await reader(engine, key)
    if scope == "write":
        assert (await find(engine, key), found) == ("billing", None)
    else:
        assert await find(engine, key) is None
        assert found == Reader("billing", id_of(key), scope)


@pytest.mark.parametrize("scope", ["admin", "read:", "read:A", "write:crm", ""])
async def test_unknown_scope_is_refused(engine: AsyncEngine, scope: str) -> None:
    with pytest.raises(ConfigurationError):
        await make(engine, scope=scope)


async def test_expired_key_is_dead(engine: AsyncEngine) -> None:
    for scope in ("write", "read"):
        key = await make(engine, scope=scope, expires_in=timedelta(days=30))
        assert await find(engine, key) or await reader(engine, key)
        async with engine.begin() as connection:
            await connection.execute(
                text("UPDATE write_keys SET expires_at = now() WHERE id = :id"),
                {"id": id_of(key)},
            )
        assert not await find(engine, key)
        assert not await reader(engine, key)
        async with engine.begin() as connection:
            assert not await has_write_keys(connection)


async def test_successor_of_a_rotated_key_works_beside_it_for_a_while(
    engine: AsyncEngine,
) -> None:
    old = await make(engine, note="backend in Oslo")
    async with engine.begin() as connection:
        new = await rotate_key(
            connection, id_=id_of(old), actor="cli:ann", keep=timedelta(hours=24)
        )
    assert await find(engine, old) == await find(engine, new) == "billing"
    async with engine.begin() as connection:
        rows = {row.id: row for row in await list_keys(connection)}
        again = rotate_key(
            connection, id_=id_of(old), actor="cli:ann", keep=timedelta(days=90)
        )
        await again
        kept = {row.id: row for row in await list_keys(connection)}[id_of(old)]
    first, second = rows[id_of(old)], rows[id_of(new)]
    assert second.note == "backend in Oslo"
    assert second.expires_at is None
    assert first.expires_at is not None
    left = first.expires_at - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    assert kept.expires_at == first.expires_at  # rotation never extends a life


async def test_given_key_may_be_repeated_and_belongs_to_one_source(
    engine: AsyncEngine,
) -> None:
    given = "rc_" + "k" * 40
    assert await make(engine, given=given) == await make(engine, given=given) == given
    assert await find(engine, given) == "billing"
    for source, scope in (("crm", "write"), ("billing", "read")):
        with pytest.raises(ConfigurationError, match="belongs to billing"):
            async with engine.begin() as connection:
                await create_key(connection, source=source, scope=scope, given=given)
    await revoke(engine, id_of(given))
    with pytest.raises(ConfigurationError, match="revoked"):
        await make(engine, given=given)


@pytest.mark.parametrize("given", ["", "secret", "rc_short", "rc_" + "k" * 31 + "/"])
async def test_given_key_that_is_weak_is_refused(
    engine: AsyncEngine, given: str
) -> None:
    with pytest.raises(ConfigurationError, match="at least 32 characters"):
        await make(engine, given=given)


async def test_day_of_the_last_use_is_recorded_once(engine: AsyncEngine) -> None:
    used, idle = await make(engine), await make(engine)
    began = datetime.now(UTC).date()
    hashes = [hash_key(used.encode()), hash_key(b"rc_unknown")]
    async with engine.begin() as connection:
        assert await record_use(connection, hashes=hashes, ids=[]) == 1
        assert await record_use(connection, hashes=hashes, ids=[id_of(used)]) == 0
        rows = {row.id: row.last_used_on for row in await list_keys(connection)}
    day = rows.pop(id_of(used))
    assert day is not None
    assert began <= day <= datetime.now(UTC).date()
    assert rows == {id_of(idle): None}


async def test_every_change_of_a_key_is_in_the_audit_log(engine: AsyncEngine) -> None:
    key = await make(engine, actor="cli:ann")
    async with engine.begin() as connection:
        await rotate_key(
            connection, id_=id_of(key), actor="key:123", keep=timedelta(hours=1)
        )
    await revoke(engine, id_of(key))
    async with engine.begin() as connection:
        rows = (
            await connection.execute(text("SELECT * FROM audit_log ORDER BY id"))
        ).all()
    assert [(row.actor, row.action) for row in rows] == [
        ("cli:ann", "key.create"),
        ("key:123", "key.create"),
        ("key:123", "key.rotate"),
        ("cli:ann", "key.revoke"),
    ]
    assert [row.subject for row in rows][::2] == [id_of(key)] * 2
    assert key not in str(rows)


async def test_keys_are_listed_by_source_and_age(engine: AsyncEngine) -> None:
    keys = [await create(engine, source) for source in ("crm", "billing", "crm")]
    await revoke(engine, id_of(keys[0]))

    async with engine.connect() as connection:
        rows = await list_keys(connection)

    ids = [hash_key(key.encode()).hex()[:12] for key in keys]
    assert [row.id for row in rows] == [ids[1], ids[0], ids[2]]
    assert [row.source for row in rows] == ["billing", "crm", "crm"]
    assert [row.revoked_at is not None for row in rows] == [False, True, False]

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError, KeyNotFoundError
from app.store.keys.keys import (
    KeyRow,
    Scope,
    create_key,
    find_reader,
    find_source,
    hash_key,
    list_keys,
    revoke_key,
)
from app.store.tables.events import sources, write_keys


async def create(engine: AsyncEngine, source: str, scope: Scope = "write") -> str:
    async with engine.begin() as connection:
        return await create_key(connection, source=source, scope=scope)


async def find(engine: AsyncEngine, key: str) -> str | None:
    async with engine.connect() as connection:
        return await find_source(connection, key_hash=hash_key(key.encode()))


async def reader(engine: AsyncEngine, key: str) -> str | None:
    async with engine.connect() as connection:
        return await find_reader(connection, key_hash=hash_key(key.encode()))


async def revoke(engine: AsyncEngine, key_or_id: str) -> KeyRow:
    async with engine.begin() as connection:
        return await revoke_key(connection, key_or_id=key_or_id)


async def test_a_new_key_leads_to_its_source_and_to_no_other(
    engine: AsyncEngine,
) -> None:
    billing = await create(engine, "billing-backend")
    crm = await create(engine, "crm")

    assert await find(engine, billing) == "billing-backend"
    assert await find(engine, crm) == "crm"
    assert await find(engine, billing + "x") is None
    assert await find(engine, "") is None


async def test_a_key_is_a_prefix_and_192_random_bits(engine: AsyncEngine) -> None:
    keys = {await create(engine, "billing") for _ in range(20)}

    assert len(keys) == 20
    for key in keys:
        assert key.startswith("rc_")
        assert len(key.removeprefix("rc_")) * 6 == 192


async def test_a_key_is_for_one_thing_alone(engine: AsyncEngine) -> None:
    writes = await create(engine, "billing")
    reads = await create(engine, "ann", "read")

    assert (await find(engine, writes), await reader(engine, writes)) == (
        "billing",
        None,
    )
    assert (await find(engine, reads), await reader(engine, reads)) == (None, "ann")
    assert reads.startswith("rc_read_")
    assert len(reads.removeprefix("rc_read_")) * 6 == 192
    async with engine.connect() as connection:
        rows = await list_keys(connection)
    assert [(row.source, row.scope) for row in rows] == [
        ("ann", "read"),
        ("billing", "write"),
    ]


async def test_a_revoked_read_key_is_dead(engine: AsyncEngine) -> None:
    key = await create(engine, "ann", "read")

    assert (await revoke(engine, key)).scope == "read"
    assert await reader(engine, key) is None


async def test_a_key_whose_row_says_no_scope_writes(engine: AsyncEngine) -> None:
    await create(engine, "billing")
    row = {"id": "x", "key_hash": hash_key(b"rc_old"), "source": "billing"}
    async with engine.begin() as connection:
        await connection.execute(write_keys.insert().values(row))

    assert await find(engine, "rc_old") == "billing"


async def test_the_database_knows_no_other_scope(engine: AsyncEngine) -> None:
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


async def test_a_source_holds_several_live_keys(engine: AsyncEngine) -> None:
    first, second = await create(engine, "billing"), await create(engine, "billing")

    assert await find(engine, first) == await find(engine, second) == "billing"
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(sources)) == 1


@pytest.mark.parametrize("name", ["a", "0", "billing.eu_west-1", "a" * 63])
async def test_what_a_source_may_be_called(engine: AsyncEngine, name: str) -> None:
    assert await find(engine, await create(engine, name)) == name


@pytest.mark.parametrize(
    "name", ["", "a" * 64, "Billing", "-a", ".a", "a b", "a\n", "\u00e4", "a\x00"]
)
async def test_what_a_source_may_not_be_called(engine: AsyncEngine, name: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 63 characters"):
        await create(engine, name)


@pytest.mark.parametrize("name", ["", "a" * 64, "Billing", "-a", "a\n", "\u00e4"])
async def test_the_database_holds_sources_to_the_same_rule(
    engine: AsyncEngine, name: str
) -> None:
    with pytest.raises(IntegrityError, match="sources_name_check"):
        async with engine.begin() as connection:
            await connection.execute(sources.insert().values(name=name))


async def test_the_database_refuses_a_hash_that_is_no_sha256(
    engine: AsyncEngine,
) -> None:
    await create(engine, "billing")
    row = {"id": "x", "key_hash": b"short", "source": "billing"}

    with pytest.raises(IntegrityError, match="write_keys_key_hash_check"):
        async with engine.begin() as connection:
            await connection.execute(write_keys.insert().values(row))


@pytest.mark.parametrize("by", ["key", "id", "upper case id"])
async def test_a_revoked_key_is_dead_and_its_neighbour_lives(
    engine: AsyncEngine, by: str
) -> None:
    key, neighbour = await create(engine, "billing"), await create(engine, "billing")
    id_ = hash_key(key.encode()).hex()[:12]

    row = await revoke(engine, {"key": key, "id": id_}.get(by, id_.upper()))

    assert (row.id, row.source) == (id_, "billing")
    assert row.revoked_at is not None
    assert row.revoked_at.utcoffset() == timedelta(0)
    assert await find(engine, key) is None
    assert await find(engine, neighbour) == "billing"


async def test_a_key_revoked_twice_keeps_its_first_time(engine: AsyncEngine) -> None:
    key = await create(engine, "billing")

    assert await revoke(engine, key) == await revoke(engine, key)


@pytest.mark.parametrize("unknown", ["rc_nobody-has-this", "000000000000", ""])
async def test_revoking_an_unknown_key_says_where_to_look(
    engine: AsyncEngine, unknown: str
) -> None:
    await create(engine, "billing")

    with pytest.raises(KeyNotFoundError, match="keys list") as caught:
        await revoke(engine, unknown)
    assert "nobody-has-this" not in str(caught.value)


async def test_keys_are_listed_by_source_and_age(engine: AsyncEngine) -> None:
    keys = [await create(engine, source) for source in ("crm", "billing", "crm")]
    await revoke(engine, keys[0])

    async with engine.connect() as connection:
        rows = await list_keys(connection)

    ids = [hash_key(key.encode()).hex()[:12] for key in keys]
    assert [row.id for row in rows] == [ids[1], ids[0], ids[2]]
    assert [row.source for row in rows] == ["billing", "crm", "crm"]
    assert [row.revoked_at is not None for row in rows] == [False, True, False]

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.events.catalog import built_in_catalog
from app.store.tables import events

CATALOG = built_in_catalog()
AT = datetime(2023, 11, 2, 0, 30, 8, 276000, tzinfo=UTC)
UNCOMMENTED = text("""
SELECT kind, name FROM (
    SELECT 'relation', oid::regclass::text, obj_description(oid, 'pg_class')
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT
        'column', format('%s.%s', attrelid::regclass, attname),
        col_description(attrelid, attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attnum > 0 AND relkind IN ('r', 'p', 'v')
        AND relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'function', oid::regprocedure::text, obj_description(oid, 'pg_proc')
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS everything (kind, name, comment)
WHERE comment IS NULL
ORDER BY 1, 2
""")


async def insert_event(
    engine: AsyncEngine, event: str, properties: dict[str, Any], **values: object
) -> None:
    row = {
        "id": UUID(int=1),
        "source": "billing",
        "event": event,
        "user_id": "u1",
        "group_id": "g1",
        "timestamp": AT,
        "timestamp_raw": "2023-11-02T00:30:08.276Z",
        "received_at": AT,
        "message_id": "m1",
        "properties": json.dumps(properties),
        "context": '{"ip": "::1"}',
        "warnings": "[]",
    }
    async with engine.begin() as connection:
        await connection.execute(events.insert().values(row | values))


async def read(engine: AsyncEngine, query: str) -> Sequence[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


@pytest.mark.parametrize(
    ("properties", "email"),
    [
        ({"email": "a@x"}, "a@x"),
        ({"user_email": "b@x"}, "b@x"),
        ({"email": "a@x", "user_email": "b@x"}, "a@x"),
        ({"email": None, "user_email": "b@x"}, "b@x"),
        ({"email": None, "user_email": None}, None),
        ({}, None),
    ],
)
async def test_sign_up_shows_its_email_under_either_name(
    engine: AsyncEngine, properties: dict[str, Any], email: str | None
) -> None:
    await insert_event(engine, "signed_up", properties)

    assert await read(engine, "SELECT email FROM signed_up") == [(email,)]


@pytest.mark.parametrize(
    ("properties", "role"),
    [
        ({"user_role": "Dev"}, "Dev"),
        ({"role": "Ops"}, "Ops"),
        ({"user_role": "Dev", "role": "Ops"}, "Dev"),
        ({"user_role": None, "role": "Ops"}, "Ops"),
        ({"user_role": None}, None),
    ],
)
async def test_added_user_shows_its_role_under_either_name(
    engine: AsyncEngine, properties: dict[str, Any], role: str | None
) -> None:
    await insert_event(engine, "account_added_user", properties)

    rows = await read(engine, "SELECT user_role FROM account_added_user")
    assert rows == [(role,)]


async def test_sign_up_has_a_column_for_each_documented_property(
    engine: AsyncEngine,
) -> None:
    properties = {"email": "a@x", "name": "A B", "first_name": "A", "last_name": None}
    await insert_event(engine, "signed_up", properties)

    query = "SELECT email, name, first_name, last_name, properties FROM signed_up"
    assert await read(engine, query) == [("a@x", "A B", "A", None, properties)]


async def test_added_user_has_a_column_for_each_documented_property(
    engine: AsyncEngine,
) -> None:
    properties = {"user_role": "Dev", "user_name": "M W", "user_email": "m@x"}
    await insert_event(engine, "account_added_user", properties)

    query = (
        "SELECT user_role, user_name, user_email, properties FROM account_added_user"
    )
    assert await read(engine, query) == [("Dev", "M W", "m@x", properties)]


@pytest.mark.parametrize("view", CATALOG)
async def test_view_has_the_columns_of_every_event(
    engine: AsyncEngine, view: str
) -> None:
    await insert_event(engine, view, {})

    shared = (
        'id, source, user_id, group_id, "timestamp", timestamp_raw, received_at,'
        " stored_at, message_id, properties, context, warnings"
    )
    of_view = await read(engine, f"SELECT {shared} FROM {view}")
    assert of_view == await read(engine, f"SELECT {shared} FROM events")
    assert len(of_view) == 1


@pytest.mark.parametrize("view", CATALOG)
async def test_view_has_a_column_for_each_property_of_its_model(
    engine: AsyncEngine, view: str
) -> None:
    model: Any = CATALOG[view].model.model_fields["properties"].annotation
    second_names = {name for group in CATALOG[view].synonyms for name in group[1:]}
    second_names |= {n for group in CATALOG[view].require_one_of for n in group[1:]}
    properties = {name: f"value of {name}" for name in model.model_fields}
    await insert_event(engine, view, properties)

    for name in model.model_fields.keys() - second_names:
        query = f'SELECT "{name}" FROM {view}'
        assert await read(engine, query) == [(properties[name],)]


async def test_view_holds_its_own_event_alone(engine: AsyncEngine) -> None:
    await insert_event(engine, "signed_up", {})

    assert await read(engine, "SELECT id FROM account_added_user") == []


@pytest.mark.parametrize(
    ("microsecond", "written"),
    [
        (276000, "2023-11-02T00:30:08.276Z"),
        (0, "2023-11-02T00:30:08.000Z"),
        (276001, "2023-11-02T00:30:08.276001Z"),
        (100, "2023-11-02T00:30:08.000100Z"),
    ],
)
@pytest.mark.parametrize("view", CATALOG)
async def test_view_formats_the_instant_like_responses(
    engine: AsyncEngine, view: str, microsecond: int, written: str
) -> None:
    await insert_event(engine, view, {}, timestamp=AT.replace(microsecond=microsecond))

    async with engine.connect() as connection:
        await connection.execute(text("SET timezone = 'Asia/Kolkata'"))
        await connection.execute(text("SET datestyle = 'German'"))
        query = text(f"SELECT timestamp_iso FROM {view}")
        assert await connection.scalar(query) == written


async def test_everything_has_a_comment(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        assert (await connection.execute(UNCOMMENTED)).all() == []
        await connection.execute(text("CREATE TABLE t (c int PRIMARY KEY)"))
        found = [tuple(row) for row in await connection.execute(UNCOMMENTED)]
        await connection.rollback()
    assert found == [("column", "t.c"), ("relation", "t"), ("relation", "t_pkey")]

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaError
from app.store.typed_views.columns import ViewColumn, plan_columns
from app.store.typed_views.statements import RESERVED_COLUMNS
from app.store.typed_views.update import stored_declarations, update_views
from tests.store.typed_views.test_built_in_views import UNCOMMENTED, insert_event
from tests.support.events.declared import declaration_of

HOSTILE = "It's \\'; DROP TABLE events; -- :p %s \"x\" $1 ☃"


async def read(engine: AsyncEngine, query: str) -> Sequence[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def columns_of_trial(engine: AsyncEngine) -> list[str]:
    rows = await read(
        engine,
        "SELECT attname FROM pg_attribute WHERE attnum > 0"
        " AND attrelid = 'trial_started'::regclass ORDER BY attnum",
    )
    return [name for (name,) in rows if name not in RESERVED_COLUMNS]


async def test_each_type_has_a_column_and_other_values_are_null(
    engine: AsyncEngine, database_url: str
) -> None:
    declared = declaration_of(
        plan={"type": "text", "names": ["plan name"]},
        seats={"type": "integer"},
        price={"type": "number", "names": ["Price"]},
        paid={"type": "boolean"},
        at={"type": "timestamp"},
        extra={"type": "object"},
        tags={"type": "list of text"},
    )
    await update_views(database_url, [declared])
    good = {
        "plan name": "team", "seats": 1.0, "price": None, "Price": 12.50, "paid": False,
        "at": "2026-03-02T09:30:08.123456789+01:00", "extra": {"a": 1}, "tags": ["x"],
    }  # fmt: skip
    await insert_event(engine, "trial_started", good)
    query = "SELECT plan, seats, price, paid, at, property_extra, tags, timestamp_iso"
    [row] = await read(engine, f"{query} FROM trial_started")

    assert row == (
        "team", Decimal("1.0"), Decimal("12.5"), False,
        datetime(2026, 3, 2, 8, 30, 8, 123456, tzinfo=UTC), {"a": 1}, ["x"],
        "2023-11-02T00:30:08.276Z",
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "2026-02-30T00:00:00Z",
        "2026-03-02",
        "",
        {},
        [],
        None,
        True,
        5,
        "0000-01-01",
    ],
)
async def test_value_that_cannot_be_cast_is_null(
    engine: AsyncEngine, database_url: str, value: Any
) -> None:
    names = {"integer": "n", "boolean": "b", "timestamp": "t"}
    await update_views(
        database_url,
        [declaration_of(**{name: {"type": kind} for kind, name in names.items()})],
    )
    await insert_event(engine, "trial_started", dict.fromkeys("nbt", value))
    [(number, boolean, instant)] = await read(
        engine, "SELECT n, b, t FROM trial_started"
    )

    assert number == (value if type(value) is int else None)
    assert boolean == (value if type(value) is bool else None)
    assert instant is None


async def test_change_extends_the_view_and_drops_no_column(
    engine: AsyncEngine, database_url: str
) -> None:
    versions = [
        declaration_of(plan={"type": "text"}, old={"type": "integer"}),
        declaration_of(plan={"type": "integer"}, new={"type": "text"}),
        declaration_of(plan={"type": "text", "names": ["p"]}, new={"type": "email"}),
        declaration_of(plan={"type": "boolean"}),
    ]
    await insert_event(engine, "trial_started", {"p": "a", "old": 1})
    added = []
    for version in versions:
        [change] = await update_views(database_url, [version])
        added.append(change.added)
        assert await update_views(database_url, [version]) == []

    assert added == [("plan", "old"), ("plan_2", "new"), (), ("plan_3",)]
    assert await columns_of_trial(engine) == [
        "plan", "old", "plan_2", "new", "plan_3",
    ]  # fmt: skip
    assert await read(engine, "SELECT plan, old FROM trial_started") == [("a", 1)]
    async with engine.connect() as connection:
        recorded = await stored_declarations(connection)
    assert recorded == {"trial_started": versions[-1]}


async def test_everything_in_a_view_has_a_comment(
    engine: AsyncEngine, database_url: str
) -> None:
    declared = declaration_of(plan={"type": "text", "description": HOSTILE})
    declared = declared.model_copy(update={"description": HOSTILE})
    await update_views(database_url, [declared])

    uncommented = await read(engine, UNCOMMENTED.text)
    assert [name for _, name in uncommented if name.startswith("trial_started")] == []
    comments = await read(
        engine,
        "SELECT obj_description('trial_started'::regclass), col_description("
        "'trial_started'::regclass, attnum) FROM pg_attribute"
        " WHERE attrelid = 'trial_started'::regclass AND attname = 'plan'",
    )
    assert comments == [(HOSTILE, f"Property plan: {HOSTILE}")]
    await insert_event(engine, "trial_started", {"plan": "x"})


async def test_names_of_properties_are_quoted(
    engine: AsyncEngine, database_url: str
) -> None:
    names = ["select", "Plan", "plan", "user", "xmin", "id"]
    declared = declaration_of(
        **{name: {"type": "text", "names": [f"{name}'\"\\"]} for name in names}
    )
    await update_views(database_url, [declared])
    await insert_event(engine, "trial_started", {f"{n}'\"\\": n for n in names})

    assert await columns_of_trial(engine) == [
        "select", "Plan", "plan", "user", "xmin", "property_id",
    ]  # fmt: skip
    assert await read(
        engine, 'SELECT "select", "Plan", plan, property_id FROM trial_started'
    ) == [("select", "Plan", "plan", "id")]


async def test_relation_of_that_name_is_left_alone(
    engine: AsyncEngine, database_url: str
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE trial_started (a integer)"))
    other = declaration_of().model_copy(update={"name": "other_event"})

    with pytest.raises(SchemaError, match="did not make"):
        await update_views(database_url, [other, declaration_of()])
    assert await read(engine, "SELECT to_regclass('other_event')") == [(None,)]


def test_free_column_name_is_found() -> None:
    long = "p" * 63
    before = [ViewColumn(long, (long,), "text", "A.")]
    columns = plan_columns(
        declaration_of(**{long: {"type": "boolean"}, "plan_2": {"type": "text"}}),
        before=[*before, ViewColumn("plan_2", ("plan",), "numeric", "A.")],
        reserved=RESERVED_COLUMNS,
    )

    assert [column.name for column in columns] == [
        long, "plan_2", "p" * 61 + "_2", "plan_2_2",
    ]  # fmt: skip


def test_recorded_column_can_be_read_again() -> None:
    column = ViewColumn("plan", ("plan", "p"), "text", "A.")

    assert ViewColumn.from_json(json.loads(json.dumps(column._asdict()))) == column

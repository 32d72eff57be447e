from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.instances import Difference, Instance, differences
from app.store.service_queries import ServiceQueries
from tests.support.limits import PATIENCE_S
from tests.support.store.sabotage import run

ONE = Instance("a:8000", "1.0", {"ROLLCALL_MAX_EVENT_BYTES": 10, "earliest": "2000"})
TWO = ONE._replace(name="b:8000")


async def report(engine: AsyncEngine, instance: Instance) -> list[Instance]:
    queries = ServiceQueries(engine, timeout_s=PATIENCE_S)
    return await queries.record_instance(instance)


async def test_report_returns_all_that_run(engine: AsyncEngine) -> None:
    assert await report(engine, ONE) == [ONE]
    assert await report(engine, TWO) == [ONE, TWO]
    assert await report(engine, ONE) == [ONE, TWO]


async def test_report_after_a_restart_replaces_version_and_settings(
    engine: AsyncEngine,
) -> None:
    await report(engine, ONE)
    changed = ONE._replace(version="1.1", settings={"earliest": None})
    assert await report(engine, changed) == [changed]


async def test_report_refreshes_the_time_and_forgets_old_instances(
    engine: AsyncEngine,
) -> None:
    await report(engine, ONE)
    await run(engine, "UPDATE instances SET last_seen_at = now() - interval '6 min'")
    assert await report(engine, TWO) == [TWO]
    assert await report(engine, ONE) == [ONE, TWO]

    await run(engine, "UPDATE instances SET last_seen_at = now() - interval '25 h'")
    assert await report(engine, TWO) == [TWO]
    async with engine.connect() as connection:
        names = await connection.exec_driver_sql("SELECT name FROM instances")
        assert names.scalars().all() == ["b:8000"]


def test_differences_name_the_instances_of_each_value() -> None:
    assert differences([ONE, TWO]) == []
    other = TWO._replace(settings={**TWO.settings, "earliest": "1990"})
    [found] = differences([ONE, other, ONE._replace(name="c:8000")])
    assert found == Difference(
        "earliest", {'"2000"': ["a:8000", "c:8000"], '"1990"': ["b:8000"]}
    )
    assert str(found) == 'earliest is "2000" on a:8000, c:8000; "1990" on b:8000'


def test_setting_of_one_release_only_is_no_difference() -> None:
    older = TWO._replace(settings={"earliest": "2000"})
    assert differences([ONE, older]) == []

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.issues import Issue
from app.store.tables import events
from tests.support.cli.rejected import Run, lines, runner_on
from tests.support.pipeline.verdicts import added_user_with, signed_up_with, without
from tests.support.store.entries import rows
from tests.support.store.rejections import commit, count, rejection

PLACEHOLDER = Issue("placeholder_id", "user_id", "This is a placeholder.")


@pytest.fixture
def run(database_url: str) -> Run:
    return runner_on(database_url)


async def warning_codes(engine: AsyncEngine) -> set[str]:
    return {
        warning["code"]
        for row in await rows(engine, events)
        for warning in row.warnings
    }


async def test_set_corrects_the_selected_event(run: Run, engine: AsyncEngine) -> None:
    first, second = (
        rejection(signed_up_with(user_id="undefined", n=n), error=PLACEHOLDER)
        for n in (1, 2)
    )
    await commit(engine, first, second)

    result = await run(
        "replay",
        *("--id", first.id, "--set", "user_id=u7", "--set", "properties.email=x@y.z"),
    )

    assert lines(result) == ["1 stored, 0 already stored, 0 still rejected."]
    [row] = await rows(engine, events)
    assert row.user_id == "u7"
    assert row.properties["email"] == "x@y.z"
    assert await warning_codes(engine) >= {"corrected_by_operator"}
    assert await count(engine) == 1


async def test_set_reports_the_remaining_errors(run: Run, engine: AsyncEngine) -> None:
    event = without(added_user_with(user_id="null"), "context")
    await commit(engine, rejection(event, error=PLACEHOLDER))

    result = await run("replay", "--reason", "placeholder_id", "--set", "user_id=u")

    assert lines(result)[0] == "0 stored, 0 already stored, 1 still rejected."
    assert await count(engine) == 1


async def test_accept_placeholder_stores_the_id_as_sent(
    run: Run, engine: AsyncEngine
) -> None:
    await commit(engine, rejection(signed_up_with(user_id="none"), error=PLACEHOLDER))

    refused = await run("replay")
    result = await run("replay", "--accept-placeholder")

    assert lines(refused)[0] == "0 stored, 0 already stored, 1 still rejected."
    assert lines(result)[0] == "1 stored, 0 already stored, 0 still rejected."
    assert [row.user_id for row in await rows(engine, events)] == ["none"]
    assert await warning_codes(engine) >= {"corrected_by_operator"}


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "user_id=u"],
        ["--source", "billing", "--set", "user_id"],
        ["--source", "billing", "--set", "plan=pro"],
        ["--source", "billing", "--set", "user_id=u", "--set", "user_id=v"],
    ],
)
async def test_set_without_selection_or_field_exits_with_2(
    run: Run, engine: AsyncEngine, options: list[str]
) -> None:
    await commit(engine, rejection(signed_up_with(user_id="none"), error=PLACEHOLDER))

    assert (await run("replay", *options)).exit_code == 2
    assert await count(engine) == 1

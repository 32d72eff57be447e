"""F7 to F9: the moment of the commit, and the disk that it waits for."""

import asyncio

import pytest

from tests.faults.conftest import NewRow
from tests.support.faults import actions
from tests.support.faults.stage import MIB, Stage


@pytest.mark.parametrize("answered", [True, False], ids=["after", "before"])
async def test_f7_the_connection_breaks_at_commit(
    proxied: Stage, new_row: NewRow, *, answered: bool, at_length: bool
) -> None:
    when = "after" if answered else "before"
    row = new_row("F7", f"cut {when} COMMIT")
    await proxied.start_proxied()
    async with proxied.trial(row) as trial:
        await actions.cut_commits(
            proxied, times=50 if at_length else 5, answered=answered
        )
        row.seconds("back", await trial.recovered(), at_most=2)
        await trial.load.until_confirmed(20)
    duplicates = trial.load.ledger.statuses["duplicate"]
    if answered:
        row.holds(
            "a retry gives duplicate", met=duplicates > 0, measured=str(duplicates)
        )
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.settle()


@pytest.mark.at_length
async def test_f8_slow_disk(
    proxied: Stage, new_row: NewRow, *, at_length: bool
) -> None:
    row = new_row("F8", "500 ms a commit")
    await proxied.start_proxied()
    async with proxied.trial(row) as trial:
        await actions.slow_disk(proxied, seconds=20 if at_length else 3, delay_s=0.16)
        row.seconds("back", await trial.recovered(), at_most=2)
    row.seconds("every answer within", trial.slowest, at_most=3)
    row.at_most("memory", trial.memory_peak / MIB, 50, " MB")
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.settle()


async def test_f10_a_read_only_database_is_not_ready(
    proxied: Stage, new_row: NewRow
) -> None:
    if proxied.journal:
        pytest.skip("it buffers")
    row = new_row("F10", "read-only, readiness")
    await proxied.start_proxied()
    assert (await proxied.get("/readyz"))[0] == 200
    await actions.set_read_only(proxied, "on")
    answers: list[int] = []
    async with asyncio.timeout(10):
        while 503 not in answers:
            answers.append((await proxied.get("/readyz"))[0])
    row.holds("/readyz is 503", met={*answers} <= {200, 503}, measured=str({*answers}))
    row.settle()

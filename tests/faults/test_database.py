"""F3 to F5 and F9 to F12: Postgres dies, freezes, or takes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.faults.conftest import Limits, NewRow
from tests.support.faults import actions
from tests.support.faults.stage import MIB, Stage

ANSWER_S = 3.0


class Plan(NamedTuple):
    """One fault and its bars.

    Attributes:
        seconds: that it lasts, in `make test` and in `make faults`.
        back_s: to the first event that is stored.
        is_felt: whether it outlasts every retry, so that something must have seen it.
    """

    row: str
    fault: str
    act: Callable[..., Awaitable[None]]
    seconds: tuple[float, float]
    back_s: float = 2.0
    is_felt: bool = True


PLANS = (
    Plan("F3", "Postgres crashed", actions.crash_postgres, (2, 10), back_s=1),
    Plan("F5", "Postgres frozen", actions.freeze_postgres, (4, 30)),
    Plan("F6", "packets dropped", actions.drop_packets, (4, 30)),
    Plan("F6", "connections reset", actions.reset_connections, (1, 10), is_felt=False),
    Plan("F7", "COMMIT refused", actions.fail_commits, (2.5, 5)),
    Plan("F10", "read-only", actions.make_read_only, (2, 10)),
    Plan("F11", "table locked", actions.lock_table, (4, 20)),
    Plan("F12", "no connections left", actions.exhaust_connections, (2, 10), back_s=1),
)

# What `make test` has time for. tests/system/test_outage.py freezes Postgres there.
QUICK = {("F3", False), ("F7", False), ("F11", False)}
TRIALS = [
    pytest.param(
        plan,
        journal,
        id=f"{plan.row}-{plan.fault}-{'journal' if journal else 'plain'}",
        marks=() if (plan.row, journal) in QUICK else pytest.mark.at_length,
    )
    for plan in PLANS
    for journal in (False, True)
]


@pytest.mark.parametrize(("plan", "journal"), TRIALS, indirect=["journal"])
async def test_outage_of_the_database_loses_nothing(
    proxied: Stage, new_row: NewRow, plan: Plan, *, at_length: bool
) -> None:
    mode = "journal" if proxied.journal else "plain"
    row = new_row(plan.row, f"{plan.fault}, {mode}")
    seconds = plan.seconds[at_length]
    service = await proxied.start_proxied()
    async with proxied.trial(row) as trial:
        health = asyncio.create_task(watch_health(proxied))
        await plan.act(proxied, seconds=seconds)
        row.seconds("back", await trial.recovered(), at_most=plan.back_s)
        health.cancel()
        with suppress(asyncio.CancelledError):
            await health
        await trial.load.until_confirmed(50)
    assert service.process.poll() is None
    row.seconds("every answer within", trial.slowest, at_most=ANSWER_S)
    row.at_most("memory", trial.memory_peak / MIB, 50, " MB")
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.at_most("connections afterwards", trial.connections_after, 7)
    if plan.is_felt:
        felt = trial.load.ledger.statuses["buffered"] or trial.count(503)
        row.holds("the fault is felt", met=felt > 0, measured=str(felt))
    if proxied.journal:
        row.at_most("refused while it could buffer", trial.count(503, 429), 0)
    row.settle()


async def watch_health(stage: Stage) -> None:
    """Liveness is asked all the time, and has to answer at once."""
    while True:
        async with asyncio.timeout(2):
            status, _ = await stage.get("/livez")
        assert status == 200
        await actions.lasting(0.2)


async def test_f4_backends_terminated(
    stage: Stage, new_row: NewRow, limits: Limits, *, at_length: bool
) -> None:
    row = new_row("F4", "backends ended, 10 a second")
    stage.start(limits=limits)
    async with stage.trial(row) as trial:
        await actions.end_backends(stage, seconds=20 if at_length else 3)
        row.seconds("back", await trial.recovered(), at_most=2)
    share = 1 - trial.count(200) / len(trial.load.answers)
    row.at_most("non-2xx", share, 0.01)
    row.settle()

"""F19 and F20: more comes than can be taken, from all or from one."""

import pytest

from tests.faults.conftest import NewRow
from tests.faults.test_clients import p99
from tests.support.faults.flood import Figures, flooding
from tests.support.faults.stage import Stage

# In flight at the peak, by events in a body; and more bodies than any peak takes.
CLOSED = {1: (128, 120_000), 100: (32, 4_000)}
# More than the service takes at a time.
OPEN = 2_000

KNOWN = pytest.mark.xfail(
    strict=False,
    reason="refusals and turns cost a worker too much; docs/guarantees.md says so",
)


async def peak(stage: Stage, *, batch: int) -> Figures:
    """What it takes of senders who wait for each answer."""
    connections, count = CLOSED[batch]
    async with flooding(
        stage, batch=batch, connections=connections, seconds=6, count=count
    ) as flood:
        figures = await flood
    assert not figures.others
    return figures


@pytest.mark.at_length
@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", [pytest.param(1, marks=KNOWN), 100])
async def test_f19_three_times_what_it_can_take(
    stage: Stage, new_row: NewRow, batch: int
) -> None:
    row = new_row("F19", f"3x overload, open loop, bodies of {batch}")
    stage.start()
    most = await peak(stage, batch=batch)
    async with flooding(
        stage, batch=batch, connections=OPEN, seconds=8, rate=3 * most.rate
    ) as flood:
        figures = await flood
    goodput = figures.rate / most.rate
    row.told(
        "besides",
        f"peak {most.rate * batch:.0f} events/s, then {figures.rate * batch:.0f};"
        f" {len(figures.refused)} bodies refused,"
        f" the last of 100 went out {figures.late * 1000:.0f} ms late",
    )
    row.at_least("goodput of the peak", goodput, 0.8)
    row.seconds("99% of refusals within", figures.refusal_p99, at_most=0.1)
    row.told("every refusal within", f"{max(figures.refused, default=0):.2f} s")
    row.at_most("other than 2xx and 503/429", figures.others, 0)
    row.settle()


@KNOWN
@pytest.mark.at_length
@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", CLOSED)
async def test_f20_one_source_floods(stage: Stage, new_row: NewRow, batch: int) -> None:
    row = new_row("F20", f"one source floods with bodies of {batch}")
    stage.start()
    most = await peak(stage, batch=batch)
    async with stage.trial(row, rate=100) as trial:
        first = len(trial.load.answers)
        await trial.load.until_confirmed(1_000)
        quiet = p99(trial.load, first)
        async with flooding(
            stage, batch=batch, connections=OPEN, seconds=10, rate=2 * most.rate
        ) as flood:
            first = len(trial.load.answers)
            figures = await flood
            busy = p99(trial.load, first)
    row.told(
        "the flood",
        f"{2 * most.rate * batch:.0f} events/s, {figures.rate * batch:.0f} stored,"
        f" {len(figures.refused)} bodies refused",
    )
    row.told("p99", f"{quiet * 1000:.1f} ms quiet, {busy * 1000:.1f} ms flooded")
    row.ratio("p99 of the other source", busy / quiet, at_most=2)
    row.at_most("failed to the other source", trial.failed, 0)
    row.settle()

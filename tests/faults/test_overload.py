"""F19 and F20: more arrives than can be processed, from all senders or from one."""

import pytest

from tests.faults.conftest import NewRow
from tests.faults.test_clients import p99
from tests.support.faults.flood import Figures, flooding
from tests.support.faults.stage import Stage

# In flight at the peak, by events in a body; and more bodies than any peak takes.
CLOSED = {1: (128, 160_000), 100: (32, 4_000)}
MANY, MOST = 2_000, 10_000
SECONDS = 8
# Below this, a p99 of the other source is good whatever it was when all was quiet.
GOOD_S = 0.03


async def peak(stage: Stage, *, batch: int) -> Figures:
    """Throughput with senders that wait for each response."""
    connections, count = CLOSED[batch]
    async with flooding(
        stage, batch=batch, connections=connections, seconds=6, count=count
    ) as flood:
        figures = await flood
    assert not figures.others
    return figures


@pytest.mark.at_length
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("loop", "batch", "connections", "at_least", "heeds"),
    [
        ("closed", 1, MANY, 0.85, True),
        ("open", 1, MANY, 0.85, True),
        ("closed", 1, MOST, 0.7, True),
        ("closed", 1, MOST, 0.7, False),
        ("open", 100, MANY, 0.85, True),
    ],
)
async def test_f19_three_times_the_capacity(  # noqa: PLR0913, PLR0917 - a case has parts
    stage: Stage,
    new_row: NewRow,
    loop: str,
    batch: int,
    connections: int,
    at_least: float,
    heeds: bool,
) -> None:
    manners = "" if heeds else ", Retry-After ignored"
    what = f"{loop} loop, {connections} connections, bodies of {batch}{manners}"
    row = new_row("F19", f"overload, {what}")
    stage.start()
    most = await peak(stage, batch=batch)
    async with flooding(
        stage,
        batch=batch,
        connections=connections,
        seconds=SECONDS,
        rate=3 * most.rate if loop == "open" else 0.0,
        count=round(3 * most.rate * SECONDS),
        heeds=heeds,
    ) as flood:
        figures = await flood
    # The tables have grown: with more events each costs Postgres more.
    then = await peak(stage, batch=batch)
    row.told(
        "besides",
        f"peak {most.rate * batch:.0f} events/s, then {figures.rate * batch:.0f},"
        f" peak afterwards {then.rate * batch:.0f};"
        f" {len(figures.refused)} bodies refused,"
        f" the last of 100 went out {figures.late * 1000:.0f} ms late",
    )
    capacity = (most.rate + then.rate) / 2
    row.at_least("goodput of the peak", figures.rate / capacity, at_least)
    row.seconds("99% of accepted within", figures.stored_p99, at_most=2.0)
    if heeds:
        row.seconds("99% of refusals within", figures.refusal_p99, at_most=0.1)
    else:  # a client that sends again at once is left unread for a moment
        row.seconds("99% of refusals within", figures.refusal_p99, at_most=1.5)
    row.at_most("other than 2xx and 503/429", figures.others, 0)
    row.settle()


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
            stage, batch=batch, connections=MANY, seconds=10, rate=2 * most.rate
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
    row.seconds("p99 of the other source", busy, at_most=max(3 * quiet, GOOD_S))
    row.at_most("failed to the other source", trial.failed, 0)
    row.settle()

"""F23: one fault after the other, at random, and four zeros at the end."""

import asyncio
import random
from collections import Counter

import pytest

from tests.faults.conftest import NewRow
from tests.support.faults import actions
from tests.support.faults.stage import Stage


@pytest.mark.at_length
@pytest.mark.timeout(0)
@pytest.mark.parametrize("journal", [False, True], indirect=True, ids=["off", "on"])
async def test_f23_soak(
    proxied: Stage, new_row: NewRow, request: pytest.FixtureRequest
) -> None:
    seconds = request.config.getoption("--soak", default=60.0) / 2
    mode = "journal" if proxied.journal else "plain"
    row = new_row("F23", f"soak, {seconds:g} s, {mode}")
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    slowest = 0.0
    service = await proxied.start_proxied(workers=2)
    loop = asyncio.get_running_loop()
    async with proxied.trial(row) as trial:
        end = loop.time() + seconds
        while loop.time() < end:
            done[await actions.any_fault(proxied, chance)] += 1
            slowest = max(slowest, await trial.recovered(within_s=60))
            await trial.load.until_confirmed(50, within_s=60)
    assert service.process.poll() is None
    row.told("faults", f"{dict(sorted(done.items()))}, seed {seed}")
    row.seconds("back after each", slowest, at_most=3)
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.settle()

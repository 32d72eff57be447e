"""Several instances of the service on one database, and the load on all of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from tests.support.eventually import eventually
from tests.support.faults.figures import Row
from tests.support.faults.ledger import Ledger
from tests.support.faults.sender import Load, dial, get, under_load
from tests.support.service.process import Service

RATE = 60
SIZE = 5
ANSWER_S = 3.0
BACK_S = 5.0


class SharedLoad:
    """Load on several instances, with one ledger of what was sent.

    Args:
        loads: one for each instance.
    """

    def __init__(self, loads: Sequence[Load]) -> None:
        self._loads = loads
        self.ledger: Ledger = loads[0].ledger

    async def until_confirmed(self, count: int) -> None:
        """Wait until each instance has seen to so many events more, in all."""
        await asyncio.gather(
            *(load.until_confirmed(count, within_s=60) for load in self._loads)
        )

    async def until_stored(self) -> float:
        """Wait until each instance has answered `stored` again; returns the seconds."""
        return max(await asyncio.gather(*map(_until_stored, self._loads)))

    async def settle(self, row: Row, url: str, *, back_s: float) -> None:
        """Compare all answers with the tables, once the journals are drained.

        Args:
            row: gets the figures.
            url: of the database.
            back_s: from `until_stored`, since commits succeed again.
        """
        await eventually(partial(self.ledger.present, url), within_s=120)
        row.verdict(await self.ledger.check(url))
        answers = [answer for load in self._loads for answer in load.answers]
        row.seconds("longest answer", max(a.seconds for a in answers), at_most=ANSWER_S)
        row.seconds("stored again once commits succeed", back_s, at_most=BACK_S)
        lost = sum(load.unanswered.total() for load in self._loads)
        refused = sum(answer.status != 200 for answer in answers)
        row.at_most("answers other than 200", refused + lost, 0)
        statuses = Counter(answer.status for answer in answers)
        row.told("answers", f"{dict(statuses)}, {dict(self.ledger.statuses)}")


@asynccontextmanager
async def under_shared_load(
    instances: Sequence[Service], key: str
) -> AsyncIterator[SharedLoad]:
    """Load on instances that are ready, so that each knows the keys and can buffer."""
    for instance in instances:
        await _until_ready(instance.endpoint)
    ledger = Ledger()
    rate = RATE / len(instances)
    async with AsyncExitStack() as stack:
        loads = [
            await stack.enter_async_context(
                under_load(each.endpoint, key, rate=rate, size=SIZE, ledger=ledger)
            )
            for each in instances
        ]
        yield SharedLoad(loads)


async def _until_ready(endpoint: tuple[str, int]) -> None:
    async def is_ready() -> bool:
        line = await dial(endpoint)
        status, _, _ = await line.ask(get("/readyz"))
        line.close()
        return status == 200

    await eventually(is_ready)


async def _until_stored(load: Load) -> float:
    seen = len(load.answers)
    return await load.until(
        lambda: any(b'"stored"' in each.body for each in load.answers[seen:]),
        within_s=60,
    )

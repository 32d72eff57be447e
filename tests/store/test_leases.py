import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.request_errors import UnavailableError
from app.store.leases import once_an_hour
from tests.support.store.sabotage import run


class Work:
    """Counts its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails = False

    async def __call__(self) -> int:
        self.runs += 1
        if self.fails:
            raise UnavailableError("away")
        return 7


async def test_task_runs_in_one_process_an_hour(engine: AsyncEngine) -> None:
    work = Work()
    processes = [once_an_hour("audit 365", work, engine=engine) for _ in range(3)]
    assert [await each() for each in processes] == [7, 0, 0]
    assert await once_an_hour("audit 90", work, engine=engine)() == 7
    assert work.runs == 2

    await run(engine, "UPDATE leases SET expires_at = expires_at - interval '59 min'")
    assert [await each() for each in processes] == [7, 0, 0]


async def test_failed_task_may_run_again_at_once(engine: AsyncEngine) -> None:
    work = Work()
    work.fails = True
    task = once_an_hour("audit 365", work, engine=engine)
    with pytest.raises(UnavailableError):
        await task()
    work.fails = False
    assert await task() == 7

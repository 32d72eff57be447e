import asyncio

import pytest

from app.ingest.timeout_queue import Alarms


def future() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


async def wait(alarms: Alarms, waited_for: asyncio.Future[str]) -> str:
    alarms.set(waited_for)
    return await waited_for


async def test_what_comes_in_time_comes() -> None:
    alarms, answer = Alarms(20), future()
    asyncio.get_running_loop().call_soon(answer.set_result, "answer")
    assert await wait(alarms, answer) == "answer"


async def test_what_does_not_come_is_told() -> None:
    with pytest.raises(TimeoutError):
        await wait(Alarms(0.01), future())


async def test_each_of_many_is_due_at_its_own_time() -> None:
    alarms = Alarms(0.05)
    loop = asyncio.get_running_loop()
    began, ended = [], []

    async def run() -> None:
        began.append(loop.time())
        with pytest.raises(TimeoutError):
            await wait(alarms, future())
        ended.append(loop.time())

    tasks = []
    for _ in range(5):
        tasks.append(asyncio.create_task(run()))
        await asyncio.wait(tasks, timeout=0.02)
    await asyncio.gather(*tasks)

    took = [end - begin for begin, end in zip(began, ended, strict=True)]
    assert min(took) >= 0.049
    assert ended == sorted(ended)


async def test_what_has_come_stays_as_it_came() -> None:
    alarms, answer = Alarms(0.01), future()
    alarms.set(answer)
    answer.set_result("answer")
    with pytest.raises(TimeoutError):
        await wait(alarms, future())  # the time of both is up
    assert await answer == "answer"


async def test_those_that_have_come_are_forgotten() -> None:
    alarms = Alarms(20)
    for _ in range(1_000):
        done = future()
        alarms.set(done)
        done.set_result("answer")
    assert len(alarms._set) == 1  # noqa: SLF001 - what would fill the memory


async def test_who_is_cancelled_is_not_told_that_time_is_up() -> None:
    alarms = Alarms(0.01)
    cancelled = asyncio.create_task(wait(alarms, future()))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(TimeoutError):
        await wait(alarms, future())

    with pytest.raises(asyncio.CancelledError):
        await cancelled

import asyncio

import pytest

from app.api.alarms import Alarms


async def never() -> None:
    await asyncio.Event().wait()


async def wait(alarms: Alarms, waited_for: asyncio.Future[str]) -> str:
    with alarms.set():
        return await waited_for


def future() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


async def test_what_comes_in_time_comes() -> None:
    alarms, answer = Alarms(20), future()
    asyncio.get_running_loop().call_soon(answer.set_result, "answer")
    assert await wait(alarms, answer) == "answer"


async def test_what_does_not_come_is_cancelled() -> None:
    answer = future()
    with pytest.raises(TimeoutError):
        await wait(Alarms(0.01), answer)
    assert answer.cancelled()


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


async def test_one_that_is_off_never_rings() -> None:
    alarms = Alarms(0.01)
    with alarms.set():
        pass
    with pytest.raises(TimeoutError):
        await wait(alarms, future())  # the time of both is up


async def test_those_that_are_off_are_not_kept() -> None:
    alarms = Alarms(20)
    for _ in range(1_000):
        with alarms.set():
            pass
    assert len(alarms._set) == 1  # noqa: SLF001 - what would fill the memory


async def test_who_is_cancelled_is_not_told_that_time_is_up() -> None:
    waiting = asyncio.create_task(wait(Alarms(20), future()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_who_is_cancelled_when_time_is_up_stays_cancelled() -> None:
    async def run() -> None:
        with Alarms(0.01).set():
            try:
                await never()
            finally:
                task.cancel()

    task = asyncio.create_task(run())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_its_own_is_handed_on() -> None:
    with pytest.raises(LookupError), Alarms(20).set():
        raise LookupError

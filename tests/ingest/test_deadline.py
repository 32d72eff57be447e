import asyncio

import pytest

from app.errors import UnavailableError
from app.ingest.deadline import Patience
from app.ingest.timeout_queue import Alarms


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_comes_in_time_is_returned() -> None:
    assert await Patience(Alarms(20)).wait(asyncio.sleep(0, "answer")) == "answer"


async def test_its_errors_are_its_own() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Patience(Alarms(20)).wait(fail())


async def test_what_does_not_come_is_waited_for_no_more() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    with pytest.raises(UnavailableError):
        await Patience(Alarms(0.01)).wait(future)
    assert future.done()


async def test_a_future_has_only_what_another_wait_has_left() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    patience = Patience(Alarms(0.2))
    with pytest.raises(UnavailableError):
        await patience.wait(never())

    began_at = loop.time()
    with pytest.raises(UnavailableError):
        await patience.wait(future)
    assert future.done()
    assert loop.time() - began_at < 0.19


async def test_all_waits_share_the_time() -> None:
    patience = Patience(Alarms(0.01))
    with pytest.raises(UnavailableError):
        await patience.wait(never())

    with pytest.raises(UnavailableError):
        await patience.wait(asyncio.sleep(0.001, "too late"))


async def test_a_wait_that_fails_uses_time_up_too() -> None:
    async def fail_late() -> None:
        await asyncio.sleep(0.01)
        raise LookupError

    patience = Patience(Alarms(0.01))
    with pytest.raises((LookupError, UnavailableError)):
        await patience.wait(fail_late())
    with pytest.raises(UnavailableError):
        await patience.wait(never())


async def test_who_is_cancelled_is_not_told_that_time_is_up() -> None:
    waiting = asyncio.create_task(Patience(Alarms(20)).wait(never()))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

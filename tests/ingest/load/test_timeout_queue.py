"""Many timeouts on one timer."""

import asyncio

from typing_extensions import override

from app.ingest.load.timeout_queue import TimeoutQueue
from tests.support.limits import PATIENCE_S


def now() -> float:
    return asyncio.get_running_loop().time()


class Item:
    """Notes when it expired, on the loop's clock."""

    def __init__(self) -> None:
        self.is_done = False
        self.expired_at: float | None = None
        self.expired = asyncio.Event()

    def expire(self) -> None:
        self.is_done = True
        self.expired_at = asyncio.get_running_loop().time()
        self.expired.set()


async def test_item_expires_after_its_delay() -> None:
    queue, item = TimeoutQueue(0.02), Item()
    began = asyncio.get_running_loop().time()
    queue.add(item, now())
    await item.expired.wait()

    assert item.expired_at is not None
    assert item.expired_at - began >= 0.019


async def test_items_expire_each_at_its_own_time() -> None:
    queue, loop = TimeoutQueue(0.05), asyncio.get_running_loop()
    items, began = [Item() for _ in range(5)], []
    for item in items:
        began.append(loop.time())
        queue.add(item, now())
        await asyncio.wait_for(asyncio.shield(asyncio.sleep(0.005)), PATIENCE_S)
    for item in items:
        await item.expired.wait()

    took = [(item.expired_at or 0) - at for item, at in zip(items, began, strict=True)]
    assert min(took) >= 0.049
    assert [item.expired_at for item in items] == sorted(
        item.expired_at or 0 for item in items
    )


async def test_item_that_is_done_does_not_expire() -> None:
    queue, done, late = TimeoutQueue(0.01), Item(), Item()
    queue.add(done, now())
    done.is_done = True
    queue.add(late, now())
    await late.expired.wait()

    assert done.expired_at is None


async def test_items_that_are_done_are_forgotten() -> None:
    queue = TimeoutQueue(20)
    for _ in range(1_000):
        item = Item()
        queue.add(item, now())
        item.is_done = True

    assert len(queue._pending) == 1  # noqa: SLF001 - expired items must not fill the memory


async def test_item_added_while_others_expire_expires_too() -> None:
    queue, second = TimeoutQueue(0.01), Item()

    class Adding(Item):
        @override
        def expire(self) -> None:
            super().expire()
            queue.add(second, now())

    queue.add(Adding(), now())
    await second.expired.wait()


async def test_item_whose_time_began_earlier_expires_before_those_ahead_of_it() -> None:
    queue, first, late = TimeoutQueue(20), Item(), Item()
    queue.add(first, now())
    queue.add(late, now() - 19.99)
    await asyncio.wait_for(late.expired.wait(), PATIENCE_S)

    assert first.expired_at is None


async def test_deadline_that_fails_does_not_stop_the_others() -> None:
    class Failing(Item):
        @override
        def expire(self) -> None:
            raise RuntimeError

    queue, item, later = TimeoutQueue(0.01), Item(), Item()
    began_at = now()
    for each in (Failing(), item, Failing()):
        queue.add(each, began_at)
    await asyncio.wait_for(item.expired.wait(), PATIENCE_S)
    queue.add(later, now())
    await asyncio.wait_for(later.expired.wait(), PATIENCE_S)


async def test_item_whose_time_began_earlier_does_not_wait_for_a_later_timer() -> None:
    queue, done, late = TimeoutQueue(20), Item(), Item()
    queue.add(done, now())
    done.is_done = True
    queue.add(late, now() - 19.99)
    await asyncio.wait_for(late.expired.wait(), PATIENCE_S)


async def test_item_whose_time_began_earlier_expires_between_two_others() -> None:
    queue, first, last, late = TimeoutQueue(20), Item(), Item(), Item()
    queue.add(first, now() - 19.98)
    queue.add(last, now())
    queue.add(late, now() - 19.9)
    await asyncio.wait_for(late.expired.wait(), PATIENCE_S)

    assert first.expired_at is not None
    assert last.expired_at is None

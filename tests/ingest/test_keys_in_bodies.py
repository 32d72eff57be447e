"""Bodies whose key is in them: what they hold before and after it is read."""

import asyncio

import pytest

from app.request_errors import BodyTooLargeError, OverloadedError, UnauthorizedError
from tests.support.cancelling import cancel
from tests.support.ingest.tracking import (
    BUDGET,
    KEY,
    Bench,
    event,
    filling,
    without_key,
)


async def test_senders_without_a_key_cannot_exclude_those_with_one(
    bench: Bench,
) -> None:
    await bench.track(event())  # the key is known from now on
    reading = asyncio.create_task(
        bench.track(b" " * BUDGET, then="stalls", headers=without_key())
    )
    await asyncio.sleep(0)  # the handler reads it within one turn
    with pytest.raises(OverloadedError):
        await bench.track(event(writeKey="rc_wrong"), headers=without_key())
    assert (await bench.track(filling(BUDGET)))[0].status == 200
    await cancel(reading)
    assert await bench.takes_as_much_as_ever()


async def test_announced_bytes_hold_nothing_without_a_key_in_a_header(
    bench: Bench,
) -> None:
    announced = without_key((b"content-length", b"%d" % BUDGET))
    reading = asyncio.create_task(bench.track(b"{", then="stalls", headers=announced))
    await asyncio.sleep(0)  # the handler reads it within one turn
    answer, _ = await bench.track(event(writeKey=KEY), headers=without_key())

    assert answer.status == 200
    await cancel(reading)


async def test_body_counts_with_keyed_ones_once_its_key_is_read(
    bench: Bench,
) -> None:
    bench.commits.open.clear()
    first = asyncio.create_task(bench.track(filling(BUDGET)))
    await bench.commits.begun.wait()
    with pytest.raises(OverloadedError):
        await bench.track(event(writeKey=KEY), headers=without_key())
    bench.commits.open.set()
    await first
    assert await bench.takes_as_much_as_ever()


async def test_request_with_its_key_in_the_body_counts_until_the_response(
    bench: Bench,
) -> None:
    bench.commits.open.clear()
    waiting = asyncio.create_task(
        bench.track(event(writeKey=KEY), headers=without_key())
    )
    await bench.commits.begun.wait()
    assert bench.services.scheduler.active == 1
    bench.commits.open.set()
    await waiting
    assert bench.services.scheduler.active == 0


@pytest.mark.parametrize("key", ["rc_wrong", 7, None])
async def test_wrong_key_in_the_body_releases_its_slots(
    bench: Bench, key: object
) -> None:
    with pytest.raises(UnauthorizedError):
        await bench.track(event(writeKey=key), headers=without_key())
    assert await bench.takes_as_much_as_ever()


async def test_body_with_a_known_key_in_it_uses_the_budget_of_its_source(
    bench: Bench,
) -> None:
    await bench.track(event())  # the key is known from now on
    reading = asyncio.create_task(
        bench.track(b" " * 2_000, then="stalls", headers=without_key())
    )
    bench.commits.open.clear()
    bench.commits.begun.clear()
    sending = asyncio.create_task(
        bench.track(filling(2_000, writeKey=KEY), headers=without_key())
    )
    await bench.commits.begun.wait()
    budgets = bench.services.unauthenticated.used, bench.services.budget.used
    assert budgets == (2_000, 2_000)
    bench.commits.open.set()
    await sending
    await cancel(reading)


async def test_body_without_a_key_in_its_headers_has_a_limit_of_its_own(
    bench: Bench,
) -> None:
    object.__setattr__(bench.services.limits, "max_unauthenticated_bytes", 1_000)
    answer, _ = await bench.track(filling(1_000, writeKey=KEY), headers=without_key())
    assert answer.status == 200
    with pytest.raises(BodyTooLargeError, match="Send the key in a header"):
        await bench.track(filling(1_001, writeKey=KEY), headers=without_key())
    assert (await bench.track(filling(1_001)))[0].status == 200

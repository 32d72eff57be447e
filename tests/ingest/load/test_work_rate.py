"""The rate of work, which the expected wait is made of."""

import pytest

from app.ingest.load.work_rate import WorkRate
from tests.support.ingest.scheduling import Loop


def begun() -> tuple[Loop, WorkRate]:
    """A rate whose period has begun, with the first completion."""
    loop = Loop()
    rate = WorkRate(loop.time)
    rate.start()
    rate.add(7, is_saturated=True)
    return loop, rate


def test_rate_rises_slowly_to_that_of_the_newest_period_and_falls_at_once() -> None:
    loop, rate = begun()
    found = []
    for units in (50, 100, 20):
        loop.advance(0.5)
        rate.add(units, is_saturated=True)
        found.append(rate.get())

    assert found == [100, 120, 40]


def test_rate_is_at_least_that_of_a_time_in_which_nothing_waits() -> None:
    loop, rate = begun()
    loop.advance(0.5)
    rate.add(50, is_saturated=True)
    found = [rate.get()]
    for units in (3_000, 2_000):
        for is_saturated in (True, False):
            loop.advance(0.25)
            rate.add(units // 2, is_saturated=is_saturated)
        found.append(rate.get())

    assert found == [100, 6_000, 6_000]


def test_idle_time_and_the_arrival_of_a_burst_do_not_count() -> None:
    loop = Loop()
    rate = WorkRate(loop.time)
    rate.add(1, is_saturated=False)
    loop.advance(100)
    rate.start()
    loop.advance(0.4)
    rate.add(7, is_saturated=True)
    loop.advance(0.5)
    rate.add(50, is_saturated=True)

    assert rate.get() == 100


def test_rate_is_forgotten_after_a_minute() -> None:
    loop, rate = begun()
    loop.advance(0.5)
    rate.add(50, is_saturated=True)
    loop.advance(59)
    assert rate.get() == 100
    loop.advance(1)

    assert rate.get() == 20_000


def test_rate_of_a_burst_is_known_a_tenth_of_a_second_after_its_first_completion() -> (
    None
):
    loop, rate = begun()
    loop.advance(0.1)
    rate.add(50, is_saturated=True)

    assert rate.get() == pytest.approx(500)

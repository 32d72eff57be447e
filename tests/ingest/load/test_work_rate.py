"""The rate of work, which the expected wait is made of."""

from app.ingest.load.work_rate import WorkRate
from tests.support.ingest.scheduling import Loop


def test_rate_goes_half_way_to_that_of_the_newest_period() -> None:
    loop = Loop()
    rate = WorkRate(loop.time)
    rate.start()
    found = []
    for units in (10, 100, 50):
        loop.advance(0.5)
        rate.add(units)
        found.append(rate.get())

    assert found == [20, 110, 105]

"""Requests without a key are no work of known senders; time unread is no wait."""

from collections import deque

import pytest

from app.request_errors import OverloadedError
from tests.support.ingest.scheduling import SHARED, SLOTS, Work


@pytest.fixture
def work() -> Work:
    return Work()


def test_slow_requests_without_a_key_do_not_lower_the_rate(work: Work) -> None:
    strange = deque(work.send("") for _ in range(SHARED + 2))
    for _ in range(50):
        work.loop.advance(0.1)
        work.end(strange.popleft())
        strange.append(work.send(""))
    for _ in range(1_000):
        work.send("billing")


def accepted(work: Work) -> int:
    """Requests that are accepted before one is refused."""
    for count in range(100_000):
        try:
            work.send("billing")
        except OverloadedError:
            return count
    raise AssertionError("No request is refused.")


def test_request_without_a_key_is_not_ahead_of_known_senders() -> None:
    alone, beside = Work(), Work()
    beside.send("", size=1024 * 1024)
    assert accepted(beside) == accepted(alone)


def test_time_before_the_queue_does_not_count_as_a_wait_in_it(work: Work) -> None:
    for _ in range(SLOTS):
        work.send("billing")
    arrived_at = work.loop.time() - 0.9
    for _ in range(20):
        work.scheduler.enter("billing", 0, lambda: None, arrived_at=arrived_at)

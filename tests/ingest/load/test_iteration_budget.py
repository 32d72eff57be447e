"""Work begun in one iteration of the event loop while several sources send."""

import pytest

from app.ingest.load.scheduler import UNITS_PER_ITERATION
from tests.support.ingest.scheduling import SLOTS, Work

# Two of these fit into the slots of a source, and not into a turn.
LARGE = 20 * 1024


@pytest.fixture
def work() -> Work:
    work = Work(shared_slots=SLOTS)
    work.end(work.send("quiet"))
    work.end(work.send("flood"))
    work.started.clear()
    return work


def test_one_large_request_begins_in_a_turn(work: Work) -> None:
    for number in range(2):
        work.send("flood", str(number), size=LARGE)
    assert work.started == ["0"]

    work.loop.advance()
    assert work.started == ["0", "1"]


def test_small_request_begins_in_the_turn_of_a_large_one(work: Work) -> None:
    work.send("flood", "0", size=LARGE)
    work.send("flood", "1", size=LARGE)
    work.send("quiet")

    assert work.started == ["0", "quiet"]


def test_small_request_of_each_other_source_begins_beside_one_that_fills_a_turn(
    work: Work,
) -> None:
    work.send("flood", "huge", size=1024 * UNITS_PER_ITERATION)
    for name in ("first", "second"):
        work.send("quiet", name)
    assert work.started == ["huge", "first"]

    work.loop.advance()
    assert work.started == ["huge", "first", "second"]


def test_small_requests_that_end_at_once_fill_a_turn(work: Work) -> None:
    for source in ("quiet", ""):
        for _ in range(2 * UNITS_PER_ITERATION):
            work.scheduler.leave(work.send(source))
    assert work.started == ["quiet"] * UNITS_PER_ITERATION + [""]

    work.loop.advance()
    work.send("quiet", "next")
    assert work.started[-1] == "next"


def test_source_that_is_alone_is_not_limited() -> None:
    work = Work()
    for number in range(2):
        work.send("flood", str(number), size=LARGE)

    assert work.started == ["0", "1"]

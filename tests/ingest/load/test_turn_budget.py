"""How much work is begun in one turn of the event loop."""

from app.ingest.load.turn_budget import UNITS_PER_TURN
from tests.support.ingest.scheduling import SLOTS, Work

LARGE = 20 * 1024


def test_one_large_request_begins_in_a_turn() -> None:
    work = Work()
    for number in range(2):
        work.send("billing", str(number), size=LARGE)
    assert work.started == ["0"]

    work.loop.advance()
    assert work.started == ["0", "1"]


def test_small_requests_begin_in_the_turn_in_which_they_arrive() -> None:
    work = Work()
    for _ in range(SLOTS):
        work.send("billing")

    assert len(work.started) == SLOTS <= UNITS_PER_TURN


def test_request_larger_than_a_turn_begins() -> None:
    work = Work()
    work.send("billing", "huge", size=1024 * UNITS_PER_TURN)
    work.send("audit")
    assert work.started == ["huge"]

    work.loop.advance()
    assert work.started == ["huge", "audit"]

"""The scheduler: immediate starts, the queue, and the order between sources."""

from collections import deque

import pytest

from app.ingest.load.scheduler import STALL_S
from app.request_errors import OverloadedError
from tests.support.ingest.scheduling import SHARED, SLOTS, Work

KIB = 1024


@pytest.fixture
def work() -> Work:
    return Work()


def test_source_that_is_alone_uses_all_slots(work: Work) -> None:
    tickets = [work.send("billing", str(number)) for number in range(SLOTS + 2)]
    assert len(work.started) == SLOTS
    assert work.scheduler.waiting == 2

    work.end(tickets[0])
    assert work.started[-1] == str(SLOTS)
    work.end(tickets[1])
    assert work.started[-1] == str(SLOTS + 1)
    assert (work.scheduler.active, work.scheduler.waiting) == (SLOTS, 0)


def test_source_beside_clients_without_a_key_counts_as_alone(work: Work) -> None:
    work.end(work.send("billing"))
    strange = [work.send("") for _ in range(SHARED + 1)]
    assert work.scheduler.waiting == 1
    for ticket in strange:
        work.end(ticket)
    work.started.clear()
    for _ in range(SLOTS):
        work.send("billing")

    assert len(work.started) == SLOTS


def test_large_request_without_a_key_leaves_slots_to_senders(work: Work) -> None:
    work.send("", "large", size=SLOTS * 8 * KIB)
    work.send("billing")

    assert work.started == ["large", "billing"]


def test_source_beside_others_uses_its_share_and_others_do_not_wait(work: Work) -> None:
    work.end(work.send("quiet"))
    flood = [work.send("flood", f"flood-{number}") for number in range(10)]

    assert work.started == ["quiet", "flood-0", "flood-1"]
    work.send("quiet", "quiet-2")
    assert work.started[-1] == "quiet-2"
    work.end(flood[0])
    assert work.started[-1] == "flood-2"


def test_sources_take_turns(work: Work) -> None:
    filling = [work.send("first", "x") for _ in range(SLOTS)]
    for number in range(3):
        for source in "abc":
            work.send(source, f"{source}{number}")
    assert work.scheduler.active == SLOTS
    work.started.clear()
    for ticket in filling:
        work.end(ticket)

    assert work.started[:6] == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_request_does_not_overtake_a_larger_one_of_its_source(work: Work) -> None:
    work.end(work.send("quiet"))
    first, _ = work.send("flood", "first"), work.send("flood", "second")
    work.send("flood", "large", size=8 * KIB)
    work.send("flood", "small")
    work.end(first)

    assert work.started == ["quiet", "first", "second"]


def test_request_larger_than_all_slots_begins_alone(work: Work) -> None:
    small = work.send("billing", "small")
    large = work.send("billing", "large", size=100 * SLOTS * 8 * KIB)
    work.send("billing", "last")
    assert work.started == ["small"]

    work.end(small)
    assert work.started == ["small", "large"]
    work.end(large)
    assert work.started == ["small", "large", "last"]


def test_request_that_left_the_queue_is_passed_over(work: Work) -> None:
    tickets = [work.send("billing", str(number)) for number in range(SLOTS + 2)]
    work.end(tickets[SLOTS])
    assert work.scheduler.waiting == 1
    work.end(tickets[0])

    assert work.started[-1] == str(SLOTS + 1)
    for ticket in tickets:
        work.end(ticket)
    assert (work.scheduler.active, work.scheduler.waiting) == (0, 0)


def test_source_that_gives_up_and_sends_again_takes_one_turn_a_round(
    work: Work,
) -> None:
    filling = [work.send("first", "x") for _ in range(SLOTS)]
    work.send("b")
    for _ in range(3):
        work.scheduler.leave(work.send("a"))
        work.scheduler.check("a")
    for source in "aab":
        work.send(source)
    work.started.clear()
    for ticket in filling:
        work.end(ticket)

    assert work.started == ["b", "a", "b", "a"]


def test_turn_given_back_twice_counts_once(work: Work) -> None:
    ticket = work.send("billing")
    work.end(ticket)
    work.end(ticket)

    assert work.scheduler.active == 0


def test_work_that_waits_for_the_database_holds_nobody_up_for_long(work: Work) -> None:
    tickets = [work.send("billing", str(number)) for number in range(3 * SLOTS)]
    assert len(work.started) == SLOTS
    work.loop.advance(STALL_S)
    work.loop.advance()
    assert len(work.started) == 2 * SLOTS
    work.loop.advance(STALL_S)
    work.loop.advance()
    assert len(work.started) == 3 * SLOTS

    for ticket in tickets:
        work.end(ticket)
    assert (work.scheduler.active, work.scheduler.waiting) == (0, 0)


def test_work_that_goes_on_is_no_stall(work: Work) -> None:
    tickets = [work.send("billing", str(number)) for number in range(3 * SLOTS)]
    for ticket in tickets[:SLOTS]:
        work.loop.advance(STALL_S / 2)
        work.end(ticket)

    assert len(work.started) == 2 * SLOTS


def test_source_is_alone_again_a_minute_later(work: Work) -> None:
    work.end(work.send("quiet"))
    for _ in range(SHARED + 1):
        work.send("flood")
    assert work.scheduler.waiting == 1
    work.loop.advance(STALL_S)
    work.loop.advance()
    work.loop.now += 61
    work.started.clear()
    for _ in range(SLOTS - 1):
        work.send("flood")

    assert len(work.started) == SLOTS - 1


def saturate(work: Work, rate: float) -> None:
    """Have requests wait for a while, and so many of them completed a second."""
    tickets = deque(work.send("billing") for _ in range(SLOTS + int(rate / 2)))
    for _ in range(20 * int(rate)):
        work.loop.advance(1 / rate)
        work.end(tickets.popleft())
        tickets.append(work.send("billing"))
    while len(tickets) > SLOTS:
        work.end(tickets.popleft())


def test_request_is_refused_on_arrival_where_its_turn_would_come_too_late(
    work: Work,
) -> None:
    saturate(work, rate=10)
    for _ in range(13 - SLOTS):
        work.send("billing")
    with pytest.raises(OverloadedError):
        deque(work.send("billing") for _ in range(3))
    with pytest.raises(OverloadedError):
        work.scheduler.check("billing")

    work.scheduler.check("quiet")
    work.send("quiet")


def test_large_requests_count_for_the_time_that_they_take(work: Work) -> None:
    saturate(work, rate=100)
    for _ in range(4):
        work.send("billing", size=40 * KIB)
    with pytest.raises(OverloadedError):
        work.send("billing", size=40 * KIB)


def test_burst_is_not_refused_for_the_rate_of_a_quiet_time(work: Work) -> None:
    for _ in range(50):
        work.loop.advance(0.1)
        work.end(work.send("billing"))
    for _ in range(10_000):
        work.send("billing")

    assert work.scheduler.waiting == 10_000 - SLOTS


def test_rate_is_forgotten_after_a_while(work: Work) -> None:
    saturate(work, rate=10)
    work.loop.now += 61
    for _ in range(100):
        work.send("billing")


def test_request_is_refused_where_the_first_in_its_queue_has_waited_too_long(
    work: Work,
) -> None:
    for _ in range(SLOTS + 1):
        work.send("billing")
    work.loop.now += 1.6
    with pytest.raises(OverloadedError):
        work.scheduler.check("billing")
    work.scheduler.check("quiet")


def test_refused_connections_of_a_source_come_back_one_after_the_other(
    work: Work,
) -> None:
    saturate(work, rate=50)
    pauses = [work.scheduler.back_off_s("billing") for _ in range(10)]

    assert pauses == pytest.approx([0.04 * number for number in range(10)], rel=0.01)
    assert work.scheduler.back_off_s("quiet") == 0


def test_refused_connection_is_left_unread_for_five_seconds_at_most(
    work: Work,
) -> None:
    saturate(work, rate=10)
    pauses = [work.scheduler.back_off_s("billing") for _ in range(100)]

    assert pauses[-1] == 5.0


def test_burst_is_refused_beyond_what_an_assumed_rate_completes_in_time(
    work: Work,
) -> None:
    for _ in range(27_001):
        work.send("billing")
    with pytest.raises(OverloadedError):
        work.send("billing")


def test_request_that_waited_too_long_is_given_no_turn_and_called_to_be_refused(
    work: Work,
) -> None:
    tickets = [work.send("billing", str(number)) for number in range(SLOTS + 1)]
    work.loop.now += 2.1
    tickets += [work.scheduler.enter("other", 0, lambda: work.started.append("new"))]
    for ticket in tickets[:SLOTS]:
        work.end(ticket)

    assert (tickets[SLOTS].is_active, tickets[SLOTS].is_done) == (False, True)
    assert work.started == [*map(str, range(SLOTS)), "new", str(SLOTS)]
    assert work.scheduler.active == 1
    for ticket in tickets:
        work.end(ticket)
    assert (work.scheduler.active, work.scheduler.waiting) == (0, 0)


def test_source_whose_last_waiting_request_was_late_goes_on_taking_turns(
    work: Work,
) -> None:
    tickets = [work.send("billing", str(number)) for number in range(SLOTS + 1)]
    work.loop.now += 2.2
    work.end(tickets[0])
    tickets += [work.send("billing", f"later-{number}") for number in range(2)]
    assert work.started[-1] == "later-0"
    work.end(tickets[1])

    assert work.started[-1] == "later-1"


def test_time_since_the_arrival_counts_as_waiting(work: Work) -> None:
    saturate(work, rate=10)
    for _ in range(3):
        work.send("billing")
    now = work.loop.time()
    work.scheduler.enter("billing", 0, lambda: None, arrived_at=now - 0.2)
    with pytest.raises(OverloadedError):
        work.scheduler.enter("billing", 0, lambda: None, arrived_at=now - 0.8)

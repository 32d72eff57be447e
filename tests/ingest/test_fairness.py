"""Turns: nobody waits alone; beside others, a source waits behind itself."""

import asyncio

import pytest

from app.ingest.admission import Admission, Lease
from app.ingest.fairness import TURN_S, TURN_UNITS, UNIT_BYTES

HOUR = 3600.0
Begun = asyncio.Future[None] | None


class Clock:
    """Seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(1_000, 1_000, clock=clock)


def sent(admission: Admission, source: str, size: int = 0) -> tuple[Lease, Begun]:
    """A request whose body is there."""
    lease = admission.lease(source)
    return lease, lease.enter(size)


def flood(admission: Admission, count: int) -> list[tuple[Lease, Begun]]:
    """Requests of one source, beside one that another sent."""
    sent(admission, "quiet")[0].release()
    return [sent(admission, "flooding") for _ in range(count)]


async def test_a_source_that_is_alone_never_waits(admission: Admission) -> None:
    begun = [sent(admission, "flooding")[1] for _ in range(500)]

    assert begun == [None] * 500


async def test_beside_others_so_much_begins_and_the_rest_waits_in_order(
    admission: Admission,
) -> None:
    flooding = flood(admission, TURN_UNITS + 3)
    waiting = [begun for _, begun in flooding if begun is not None]
    assert [begun for _, begun in flooding[:TURN_UNITS]] == [None] * TURN_UNITS
    assert [begun.done() for begun in waiting] == [False, False, False]

    flooding[0][0].release()
    assert [begun.done() for begun in waiting] == [True, False, False]
    flooding[TURN_UNITS][0].release()
    assert [begun.done() for begun in waiting] == [True, True, False]


async def test_who_comes_later_does_not_overtake(admission: Admission) -> None:
    flooding = flood(admission, TURN_UNITS)
    large, waits = sent(admission, "flooding", UNIT_BYTES)
    _, small_waits = sent(admission, "flooding")
    flooding[0][0].release()

    assert waits is not None
    assert small_waits is not None
    assert not waits.done()
    assert not small_waits.done()
    flooding[1][0].release()
    assert waits.done()
    large.release()
    assert small_waits.done()


async def test_the_others_do_not_wait(admission: Admission) -> None:
    flood(admission, TURN_UNITS + 100)

    assert sent(admission, "quiet")[1] is None


async def test_what_is_larger_than_all_room_goes_alone(admission: Admission) -> None:
    [(small, _)] = flood(admission, 1)
    large, waits = sent(admission, "flooding", 2 * TURN_UNITS * UNIT_BYTES)
    _, last = sent(admission, "flooding")
    assert waits is not None
    assert last is not None

    small.release()
    assert (waits.done(), last.done()) == (True, False)
    large.release()
    assert last.done()


async def test_who_has_left_the_line_is_passed_over(admission: Admission) -> None:
    flooding = flood(admission, TURN_UNITS + 2)
    left, waits = flooding[TURN_UNITS]
    left.release()
    assert waits is not None
    assert waits.cancelled()

    flooding[0][0].release()
    last = flooding[-1][1]
    assert last is not None
    assert last.done()
    for lease, _ in flooding:
        lease.release()
    assert admission.requests == 0
    assert [begun for _, begun in flood(admission, TURN_UNITS)] == [None] * TURN_UNITS


async def test_what_waits_for_the_database_holds_nobody_up_for_long(
    admission: Admission,
) -> None:
    flooding = flood(admission, 3 * TURN_UNITS)
    waiting = [begun for _, begun in flooding if begun is not None]

    async with asyncio.timeout(20):
        await asyncio.gather(*waiting)
    for lease, _ in flooding:
        lease.release()
    again = flood(admission, TURN_UNITS + 1)
    assert [begun is None for _, begun in again] == [True] * TURN_UNITS + [False]


async def test_a_line_that_is_empty_now_and_then_goes_on_no_faster(
    admission: Admission,
) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(20):
        for lease, _ in flood(admission, TURN_UNITS + 1):
            lease.release()
        await asyncio.sleep(TURN_S / 20)

    began_at = loop.time()
    flooding = flood(admission, 20 * TURN_UNITS)
    waiting = [begun for _, begun in flooding if begun is not None]
    async with asyncio.timeout(20):
        await waiting[4 * TURN_UNITS - 1]
    assert loop.time() - began_at >= 3 * TURN_S


async def test_a_source_is_alone_again_a_minute_later(
    admission: Admission, clock: Clock
) -> None:
    flood(admission, TURN_UNITS)
    clock.now += 60
    assert sent(admission, "flooding")[1] is not None
    clock.now += 1
    assert sent(admission, "flooding")[1] is None


async def test_the_first_source_of_all_was_never_beside_another(
    admission: Admission, clock: Clock
) -> None:
    clock.now = 0
    assert [sent(admission, "only")[1] for _ in range(TURN_UNITS + 1)] == [None] * (
        TURN_UNITS + 1
    )

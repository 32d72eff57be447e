import pytest

from app.errors import OverloadedError, TooManyRequestsError
from app.ingest.admission import Admission, Lease


def test_the_budget_may_be_used_to_the_last_byte_and_no_further() -> None:
    admission = Admission(100, 1_000)
    admission.lease().hold(60)
    lease = admission.lease()
    lease.hold(40)

    with pytest.raises(OverloadedError):
        lease.hold(41)
    assert admission.used == 100
    lease.release()
    assert admission.used == 60


def test_to_hold_is_not_to_add() -> None:
    admission = Admission(100, 1_000)
    lease = admission.lease()
    for size in (10, 30, 20, 30):
        lease.hold(size)

    assert admission.used == 30


def test_what_is_given_back_twice_counts_once() -> None:
    admission = Admission(100, 1_000)
    other, lease = admission.lease(), admission.lease()
    other.hold(50)
    lease.hold(50)
    lease.release()
    lease.release()

    assert admission.used == 50


def test_what_is_handed_over_is_given_back_by_its_new_holder_alone() -> None:
    admission = Admission(100, 1_000)
    lease = admission.lease()
    lease.hold(70)
    taken = lease.hand_over()
    lease.release()
    assert admission.used == 70

    taken.release()
    assert admission.used == 0


def test_what_moves_counts_in_one_budget_at_a_time() -> None:
    first, second = Admission(100, 1_000), Admission(100, 1_000)
    lease = first.lease()
    lease.hold(70)
    moved = lease.move_to(second, "billing")
    lease.release()
    assert (first.used, second.used) == (0, 70)

    moved.release()
    assert (first.used, second.used) == (0, 0)


def test_what_finds_no_room_where_it_moves_is_held_nowhere() -> None:
    first, second = Admission(100, 1_000), Admission(69, 1_000)
    lease = first.lease()
    lease.hold(70)

    with pytest.raises(OverloadedError):
        lease.move_to(second, "billing")
    lease.release()
    assert (first.used, second.used) == (0, 0)


def in_flight(admission: Admission, source: str, count: int) -> list[Lease]:
    """So many requests of a source, whether their work has begun or not."""
    leases = [admission.lease(source) for _ in range(count)]
    for lease in leases:
        lease.enter(0)
    return leases


def test_a_source_that_is_alone_may_use_all_of_the_worker() -> None:
    admission = Admission(100, 8)
    leases = in_flight(admission, "billing", 8)
    assert admission.is_full

    with pytest.raises(OverloadedError):
        admission.lease("billing")
    leases[0].release()
    leases[0].release()
    assert admission.requests == 7
    in_flight(admission, "billing", 1)


def test_room_is_asked_for_again_once_the_body_is_there() -> None:
    admission = Admission(100, 2)
    late = admission.lease("billing")
    in_flight(admission, "billing", 2)

    with pytest.raises(OverloadedError):
        late.enter(0)
    late.release()
    assert admission.requests == 2


async def test_beside_others_a_source_leaves_a_quarter_of_the_requests() -> None:
    admission = Admission(100, 8)
    admission.lease("quiet")
    leases = in_flight(admission, "flooding", 6)

    with pytest.raises(TooManyRequestsError):
        admission.lease("flooding")
    in_flight(admission, "quiet", 1)
    leases.pop().release()
    leases.pop().release()
    in_flight(admission, "flooding", 1)


def test_a_large_request_counts_as_several_and_leaves_room_for_others() -> None:
    admission = Admission(100, 1_000)
    leases = [admission.lease("billing") for _ in range(3)]
    for lease, size in zip(leases, (8191, 8192, 1 << 30), strict=True):
        lease.enter(size)
    assert admission.requests == 1 + 2 + 333

    for lease in leases:
        lease.release()
    assert admission.requests == 0


def test_beside_others_a_source_leaves_a_quarter_of_the_bytes() -> None:
    admission = Admission(100, 8)
    admission.lease("quiet")
    flooding = [admission.lease("flooding") for _ in range(3)]
    flooding[0].hold(40)
    flooding[1].hold(35)

    with pytest.raises(TooManyRequestsError):
        flooding[2].hold(1)
    admission.lease("quiet").hold(25)
    assert admission.used == 100


def test_one_body_may_take_all_the_bytes_there_are() -> None:
    admission = Admission(100, 8)
    admission.lease("quiet")
    lease = admission.lease("billing")
    lease.hold(100)

    with pytest.raises(OverloadedError):
        admission.lease("quiet").hold(1)
    lease.release()
    admission.lease("quiet").hold(100)


def test_what_a_source_gave_back_is_not_held_against_it() -> None:
    admission = Admission(100, 8)
    flooding = in_flight(admission, "flooding", 6)
    flooding[0].hold(60)
    for lease in flooding:
        lease.release()

    quiet = in_flight(admission, "quiet", 6)
    quiet[0].hold(80)
    admission.lease("flooding").hold(15)
    assert (admission.requests, admission.used) == (6, 95)

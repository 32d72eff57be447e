import pytest

from app.api.admission import Admission
from app.errors import OverloadedError


def test_the_budget_may_be_used_to_the_last_byte_and_no_further() -> None:
    admission = Admission(100)
    admission.lease().hold(60)
    lease = admission.lease()
    lease.hold(40)

    with pytest.raises(OverloadedError):
        lease.hold(41)
    assert admission.used == 100
    lease.release()
    assert admission.used == 60


def test_to_hold_is_not_to_add() -> None:
    admission = Admission(100)
    lease = admission.lease()
    for size in (10, 30, 20, 30):
        lease.hold(size)

    assert admission.used == 30


def test_what_is_given_back_twice_counts_once() -> None:
    admission = Admission(100)
    other, lease = admission.lease(), admission.lease()
    other.hold(50)
    lease.hold(50)
    lease.release()
    lease.release()

    assert admission.used == 50


def test_what_is_handed_over_is_given_back_by_its_new_holder_alone() -> None:
    admission = Admission(100)
    lease = admission.lease()
    lease.hold(70)
    taken = lease.hand_over()
    lease.release()
    assert admission.used == 70

    taken.release()
    assert admission.used == 0


def test_what_moves_counts_in_one_budget_at_a_time() -> None:
    first, second = Admission(100), Admission(100)
    lease = first.lease()
    lease.hold(70)
    moved = lease.move_to(second)
    lease.release()
    assert (first.used, second.used) == (0, 70)

    moved.release()
    assert (first.used, second.used) == (0, 0)


def test_what_finds_no_room_where_it_moves_is_held_nowhere() -> None:
    first, second = Admission(100), Admission(69)
    lease = first.lease()
    lease.hold(70)

    with pytest.raises(OverloadedError):
        lease.move_to(second)
    lease.release()
    assert (first.used, second.used) == (0, 0)

"""The byte budget: its limit, and the share of a source while others send."""

import pytest

from app.ingest.load.budget import ByteBudget
from app.request_errors import OverloadedError, TooManyRequestsError


def test_budget_is_usable_to_the_last_byte_and_no_further() -> None:
    budget = ByteBudget(100)
    budget.permit("billing").grow(60)
    permit = budget.permit("billing")
    permit.grow(40)

    with pytest.raises(OverloadedError):
        permit.grow(41)
    assert budget.used == 100
    permit.release()
    assert budget.used == 60


def test_growing_is_to_a_size_not_by_a_size() -> None:
    budget = ByteBudget(100)
    permit = budget.permit("billing")
    for size in (10, 30, 20, 30):
        permit.grow(size)

    assert budget.used == 30


def test_permit_released_twice_counts_once() -> None:
    budget = ByteBudget(100)
    other, permit = budget.permit("billing"), budget.permit("billing")
    other.grow(50)
    permit.grow(50)
    permit.release()
    permit.release()

    assert budget.used == 50


def test_moved_permit_holds_the_other_budget_alone() -> None:
    unauthenticated, budget = ByteBudget(100), ByteBudget(100)
    permit = unauthenticated.permit("")
    permit.grow(50)
    permit.move(budget, "billing")

    assert (unauthenticated.used, budget.used) == (0, 50)
    permit.release()
    assert budget.used == 0


def test_permit_that_cannot_move_holds_nothing() -> None:
    unauthenticated, budget = ByteBudget(100), ByteBudget(40)
    permit = unauthenticated.permit("")
    permit.grow(50)

    with pytest.raises(OverloadedError):
        permit.move(budget, "billing")
    permit.release()
    assert (unauthenticated.used, budget.used) == (0, 0)


def test_source_beside_others_leaves_a_quarter_of_the_bytes() -> None:
    budget = ByteBudget(100)
    budget.permit("quiet")
    flooding = [budget.permit("flooding") for _ in range(3)]
    flooding[0].grow(40)
    flooding[1].grow(35)

    with pytest.raises(TooManyRequestsError):
        flooding[2].grow(1)
    budget.permit("quiet").grow(25)
    assert budget.used == 100


def test_first_body_of_a_source_may_take_the_whole_budget() -> None:
    budget = ByteBudget(100)
    budget.permit("quiet")
    permit = budget.permit("billing")
    permit.grow(100)

    with pytest.raises(OverloadedError):
        budget.permit("quiet").grow(1)
    permit.release()
    budget.permit("quiet").grow(100)


def test_released_bytes_are_not_held_against_a_source() -> None:
    budget = ByteBudget(100)
    flooding = budget.permit("flooding")
    flooding.grow(60)
    flooding.release()
    budget.permit("quiet").grow(80)

    budget.permit("flooding").grow(15)
    assert budget.used == 95

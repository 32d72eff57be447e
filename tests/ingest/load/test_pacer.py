"""The pauses of a group of clients."""

import pytest

from app.ingest.load.pacer import Pacer


def test_requests_within_the_rate_are_not_paused() -> None:
    now = 0.0
    pacer = Pacer(1.0, lambda: now)
    pauses = []
    for _ in range(5):
        pauses.append(pacer.pause_s(100))
        now += 0.01

    assert pauses == pytest.approx([0.0] * 5)


def test_requests_above_the_rate_are_spaced_out() -> None:
    pacer = Pacer(1.0, lambda: 7.0)

    assert [pacer.pause_s(10) for _ in range(4)] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_pause_has_a_limit() -> None:
    now = 0.0
    pacer = Pacer(1.0, lambda: now)
    for _ in range(100):
        pacer.pause_s(10)
    assert pacer.pause_s(10) == 1.0
    now = 3.0
    assert pacer.pause_s(10) == 0.0

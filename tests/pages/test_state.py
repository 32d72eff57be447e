"""State of the service on Home."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from app.api.health import Ready
from app.pages.console.home import sparkline
from app.pages.console.state import State, StateReader
from app.request_errors import UnavailableError

START = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Service:
    """A service whose state a test sets."""

    def __init__(self) -> None:
        self.taking: Literal["stored", "buffered"] | None = "stored"
        self.totals: dict[str, float] = {}
        self.now = START
        self.reader = StateReader(self._probe, self._read_totals, now=lambda: self.now)

    async def at(self, seconds: int) -> State:
        """The state so many seconds after the start."""
        self.now = START + timedelta(seconds=seconds)
        return await self.reader.read()

    async def _probe(self) -> Ready:
        if self.taking is None:
            raise UnavailableError("", reason="password refused")
        return Ready(events=self.taking)

    def _read_totals(self) -> Mapping[str, float]:
        return self.totals


async def test_state_of_an_outage_is_buffering_then_draining_then_storing() -> None:
    service = Service()
    first = await service.at(5)
    assert (first.mode, first.since, first.is_exact) == ("storing", START, False)

    service.taking = "buffered"
    service.totals = {
        "rollcall_journal_events": 7,
        "rollcall_journal_bytes": 2_000,
        "rollcall_journal_bytes_limit": 10_000,
        "rollcall_journal_oldest_age_seconds": 4,
    }
    state = await service.at(20)
    since = START + timedelta(seconds=16)
    assert (state.mode, state.since, state.is_exact) == ("buffering", since, True)
    assert (state.waiting, state.used_bytes, state.limit_bytes) == (7, 2_000, 10_000)
    assert (await service.at(30)).since <= START + timedelta(seconds=16)

    service.taking = "stored"
    assert (await service.at(40)).mode == "draining"
    service.totals = {}
    state = await service.at(50)
    assert (state.mode, state.since) == ("storing", START + timedelta(seconds=50))


async def test_state_without_database_and_journal_is_refusing() -> None:
    service = Service()
    service.taking = None
    state = await service.at(1)
    assert state.mode == "refusing"
    assert state.explanation.endswith(" Cause: password refused.")


@pytest.mark.parametrize(
    ("counts", "points"),
    [([0, 0], "0.0,23.0 100.0,23.0"), ([0, 5, 10], "0.0,23.0 50.0,12.0 100.0,1.0")],
)
def test_sparkline_spans_the_picture(counts: list[int], points: str) -> None:
    assert sparkline(counts) == points

"""State of the service: whether new events are stored, buffered or refused.

It comes from memory and from the metrics of all workers, so it is known during an
outage of the database.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

from app.api.health import Ready
from app.metrics.catalog import (
    JOURNAL_BYTES,
    JOURNAL_BYTES_LIMIT,
    JOURNAL_EVENTS,
    JOURNAL_OLDEST_SECONDS,
)
from app.request_errors import UnavailableError

Mode: TypeAlias = Literal["storing", "draining", "buffering", "refusing"]

# Whether events are stored or buffered; raises if they are refused.
Probe: TypeAlias = Callable[[], Awaitable[Ready]]
# Sum of each metric over all workers and labels, by its name.
Totals: TypeAlias = Callable[[], Mapping[str, float]]

TITLES: dict[Mode, str] = {
    "storing": "Storing events in Postgres",
    "draining": "Storing events, and draining the journal",
    "buffering": "Buffering events: Postgres does not respond",
    "refusing": "Refusing events: Postgres does not respond",
}
EXPLANATIONS: dict[Mode, str] = {
    "storing": "Each event is committed before the response.",
    "draining": "Postgres responds again. Buffered events are being stored.",
    "buffering": "Events are written to the journal on this machine and stored in "
    "Postgres once it responds.",
    "refusing": "Senders get 503 and send their events again. There is no journal, or "
    "it is full.",
}


class State(NamedTuple):
    """State at one moment.

    Attributes:
        since: when this mode began.
        is_exact: whether it began then, or earlier than this process knows.
        waiting: events in the journals.
        limit_bytes: largest size of the journals; 0 without one.
        reason: cause of an outage.
    """

    mode: Mode
    since: datetime
    is_exact: bool
    waiting: int
    used_bytes: int
    limit_bytes: int
    reason: str | None

    @property
    def title(self) -> str:
        """The mode in words."""
        return TITLES[self.mode]

    @property
    def explanation(self) -> str:
        """The consequence for senders, and the cause of an outage."""
        text = EXPLANATIONS[self.mode]
        return f"{text} Cause: {self.reason}." if self.reason else text


class StateReader:
    """Reads the state and remembers when it changed."""

    def __init__(
        self,
        probe: Probe,
        totals: Totals,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._probe = probe
        self._totals = totals
        self._now = now
        self._mode: Mode | None = None
        self._since = now()
        self._is_exact = False

    async def read(self) -> State:
        """The state now."""
        mode: Mode
        reason: str | None
        try:
            ready = await self._probe()
        except UnavailableError as error:
            mode, reason = "refusing", error.reason
        else:
            mode = "storing" if ready.events == "stored" else "buffering"
            reason = ready.reason
        totals = self._totals()
        waiting = int(totals.get(JOURNAL_EVENTS.name, 0))
        if mode == "storing" and waiting:
            mode = "draining"
        self._remember(mode, totals.get(JOURNAL_OLDEST_SECONDS.name, 0.0))
        return State(
            mode,
            self._since,
            self._is_exact,
            waiting,
            int(totals.get(JOURNAL_BYTES.name, 0)),
            int(totals.get(JOURNAL_BYTES_LIMIT.name, 0)),
            reason,
        )

    def _remember(self, mode: Mode, oldest_s: float) -> None:
        if mode != self._mode:
            if self._mode is not None:
                self._since, self._is_exact = self._now(), True
            self._mode = mode
        if mode == "buffering" and oldest_s:
            oldest_at = self._now() - timedelta(seconds=oldest_s)
            if oldest_at < self._since or not self._is_exact:
                self._since, self._is_exact = oldest_at, True

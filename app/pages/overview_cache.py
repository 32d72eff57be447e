"""The figures of the overview: asked for seldom, one after the other, for all readers.

Whoever loads the page again and again is shown what is known: it costs Postgres
nothing, and those who write least of all.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.errors import UnavailableError
from app.store.read.reports import (
    DAYS,
    DELAY,
    DROPPED,
    REJECTED,
    SOURCES,
    WARNINGS,
    Report,
    ReportRunner,
)

# Figures are so old at most, or twenty times as old as they took to make: so asking
# takes no more than a twentieth of one connection's time.
_TRUST_S = 10.0
_REST = 20
_AWAY = "The database does not answer."


@dataclass(frozen=True, slots=True)
class Figure:
    """An answer.

    Attributes:
        question: what was asked.
        rows: None where there was no answer in time.
    """

    question: Report
    rows: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All answers, made one after the other.

    Attributes:
        at: when the last was made.
        took_s: how long all took.
    """

    days: Figure
    sources: Figure
    rejected: Figure
    dropped: Figure
    warnings: Figure
    delay: Figure
    at: datetime
    took_s: float


class ReportCache:
    """Asks for the figures, and keeps them for a while.

    Args:
        questions: asks the database.
        clock: monotonic seconds.
    """

    def __init__(
        self, questions: ReportRunner, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._questions = questions
        self._clock = clock
        self._lock = asyncio.Lock()
        self._figures: Figures | None = None
        self._until = self._away_at = float("-inf")

    async def figures(self) -> Figures:
        """The figures, some seconds old where they are cheap.

        Raises:
            UnavailableError: the database does not answer at all.
        """
        came_at = self._clock()
        async with self._lock:
            if self._away_at >= came_at:
                # Or all who come at once would wait for one another, each for a check.
                raise UnavailableError(_AWAY)
            if self._figures is None or self._clock() >= self._until:
                self._figures = await self._ask_all()
                rest_s = max(_TRUST_S, self._figures.took_s * _REST)
                self._until = self._clock() + rest_s
            return self._figures

    async def _ask_all(self) -> Figures:
        began = self._clock()
        try:
            await self._questions.check()
        except UnavailableError:
            self._away_at = self._clock()
            raise
        return Figures(
            days=await self._ask(DAYS),
            sources=await self._ask(SOURCES),
            rejected=await self._ask(REJECTED),
            dropped=await self._ask(DROPPED),
            warnings=await self._ask(WARNINGS),
            delay=await self._ask(DELAY),
            at=datetime.now(UTC),
            took_s=round(self._clock() - began, 3),
        )

    async def _ask(self, question: Report) -> Figure:
        try:
            return Figure(question, await self._questions.ask(question))
        except UnavailableError:
            return Figure(question, None)

"""The replacement of Postgres during an outage: a journal, and a snapshot of keys."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Literal

from app.errors import ConfigurationError
from app.logs import fields
from app.metrics.catalog import (
    CIRCUIT_OPEN,
    JOURNAL_BYTES,
    JOURNAL_BYTES_LIMIT,
    JOURNAL_EVENTS,
    JOURNAL_OLDEST_SECONDS,
)
from app.metrics.counters import Metrics
from app.store.journal.drain import Drain
from app.store.journal.journal import prepare
from app.store.journal.sqlite import JournalStats
from app.store.keys.live_keys import LiveKeys

log = logging.getLogger(__name__)


def journal_directory(data_dir: Path) -> Path:
    """The directory of the journals of all processes on a data directory."""
    return data_dir / "journal"


def prepare_journal(data_dir: Path, *, wanted: Literal["auto", "on", "off"]) -> bool:
    """Whether to keep a journal; its directory has then been written to.

    Args:
        data_dir: created if it is missing.
        wanted: with `on`, a directory that cannot be written is an error; with `auto`,
            there is no journal then.

    Raises:
        ConfigurationError: the journal is required and cannot be kept.
    """
    if wanted == "off":
        return False
    try:
        prepare(journal_directory(data_dir))
    except OSError as error:
        if wanted == "on":
            raise ConfigurationError(
                f"The journal cannot be kept in {data_dir}: {error.strerror}. "
                "Make it writable, or set ROLLCALL_DATA_DIR to another directory."
            ) from None
        log.warning("there is no journal", extra=fields(error=error.strerror))
        return False
    return True


class OfflineBuffer:
    """The parts of one process that work without Postgres.

    Attributes:
        drain: its circuit breaker is open while Postgres is considered unavailable.
        known_keys: identify senders.
    """

    def __init__(self, drain: Drain, *, known_keys: LiveKeys, metrics: Metrics) -> None:
        self.drain = drain
        self.known_keys = known_keys
        self._keys_up: asyncio.Task[None] | None = None
        self._drains = [drain]
        metrics.register_gauges(
            {
                CIRCUIT_OPEN: lambda: sum(
                    each.circuit.is_open for each in self._drains
                ),
                JOURNAL_BYTES: lambda: sum(held.size for held in self._held),
                JOURNAL_BYTES_LIMIT: lambda: drain.journal.max_bytes,
                JOURNAL_EVENTS: lambda: sum(held.entries for held in self._held),
                JOURNAL_OLDEST_SECONDS: self._age_of_oldest,
            }
        )

    def include(self, drain: Drain) -> None:
        """Count the journal of a bucket in the metrics."""
        self._drains.append(drain)

    @property
    def is_on(self) -> bool:
        """Whether Postgres is considered unavailable."""
        return self.drain.circuit.is_open

    @property
    def can_accept(self) -> bool:
        """Whether the journal is expected to take events."""
        return self.drain.journal.can_accept and not self.drain.is_schema_too_old

    async def start(self, *, reason: str | None) -> None:
        """Load the keys, and begin to drain the journals of earlier processes.

        Args:
            reason: why Postgres is unavailable; None if it is not.
        """
        if reason is not None:
            self.drain.circuit.open(reason)
        await self.known_keys.refresh()
        self._keys_up = asyncio.create_task(self.known_keys.keep_refreshing())
        self.drain.start()

    async def stop(self, *, within_s: float) -> None:
        """Store as many entries as the time allows; the others stay on the disk."""
        if self._keys_up is not None:
            self._keys_up.cancel()
        await self.drain.stop(within_s=within_s)
        await self.drain.journal.close()

    def _age_of_oldest(self) -> float:
        oldest = [held.oldest_at for held in self._held if held.oldest_at is not None]
        return max(0.0, time.time() - min(oldest)) if oldest else 0.0

    @property
    def _held(self) -> list[JournalStats]:
        return [each.journal.held for each in self._drains]

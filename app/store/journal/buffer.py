"""A journal with its drain and its circuit breaker: what takes entries in an outage."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from app.store.journal.circuit_breaker import CircuitBreaker
from app.store.journal.drain import Drain
from app.store.journal.journal import Journal
from app.store.write.committer import Committer


class JournalBuffer:
    """Takes the entries that a server does not, and stores them once it is back.

    Args:
        directory: made by `prepare`; several processes share it.
        max_bytes: most bytes of entries in the journal of this process.
        committer: used for draining; the writer has another.
        check: raises UnavailableError or SchemaError while nothing can be stored.

    Attributes:
        circuit: opened by the writer, closed by the drain.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        committer: Committer,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self.circuit = CircuitBreaker()
        self.journal = Journal(directory, max_bytes=max_bytes)
        self.drain = Drain(
            self.journal, committer=committer, circuit=self.circuit, check=check
        )

    async def stop(self, *, within_s: float) -> None:
        """Store as many entries as the time allows; the others stay on the disk."""
        await self.drain.stop(within_s=within_s)
        await self.journal.close()

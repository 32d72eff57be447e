"""A waiter for submissions to the writer, as a future."""

import asyncio
from collections.abc import Callable

from app.pipeline.outcome import Entry, Outcome
from app.request_errors import UnavailableError
from app.store.write.writer import Writer


class FutureWaiter:
    """Resolves a future; a test stops waiting by cancelling it."""

    def __init__(self, release: Callable[[], None]) -> None:
        self.done: asyncio.Future[list[Outcome]] = (
            asyncio.get_running_loop().create_future()
        )
        self._release = release

    @property
    def is_done(self) -> bool:
        return self.done.done()

    def on_outcomes(self, outcomes: list[Outcome] | None) -> None:
        self._release()
        if self.done.done():
            return
        if outcomes is None:
            self.done.set_exception(UnavailableError("Not confirmed."))
        else:
            self.done.set_result(outcomes)


def submit(
    writer: Writer, entries: list[Entry], *, release: Callable[[], None] = lambda: None
) -> asyncio.Future[list[Outcome]]:
    """Submit entries; the future has their outcomes."""
    waiter = FutureWaiter(release)
    writer.submit(entries, waiter)
    return waiter.done

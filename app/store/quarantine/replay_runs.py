"""The replay that an operator started on a page, in the background of one worker.

Its state is in a file of the data directory, so that every worker of the machine shows
it, also after the operator has left the page or the worker has died.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from app.logs import fields
from app.store.quarantine.replay import Replayed

log = logging.getLogger(__name__)

Phase: TypeAlias = Literal["running", "finished", "stopped", "failed"]
# Runs with a callback for each batch, called after its commit.
Run: TypeAlias = Callable[[Callable[[Replayed], None]], Coroutine[Any, Any, None]]

RUN_FILE = "replay.json"
_WRITE_EVERY_S = 0.5
# A worker that has written nothing for so long has died.
_SILENT = timedelta(minutes=1)


@dataclass(slots=True)
class ReplayState:
    """State of a replay; times are aware UTC.

    Attributes:
        actor: name of its operator in the audit log.
        total: events that could be replayed when it began.
        phase: `stopped` if the service ended, `failed` if the database did not respond.
        duplicates: events that had been stored before.
        reasons: events that are still rejected, by code.
    """

    actor: str
    total: int
    started_at: AwareDatetime
    updated_at: AwareDatetime
    phase: Phase = "running"
    stored: int = 0
    duplicates: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Number of events that are still rejected."""
        return sum(self.reasons.values())

    @property
    def processed(self) -> int:
        """Number of events processed so far."""
        return self.stored + self.duplicates + self.rejected

    def add(self, batch: Replayed) -> None:
        """Count a batch."""
        self.stored += batch.stored
        self.duplicates += batch.duplicates
        for failure in batch.failures:
            code = str(failure.errors[0].code)
            self.reasons[code] = self.reasons.get(code, 0) + 1


_STATE = TypeAdapter(ReplayState)


class ReplayRuns:
    """Runs replays of operators, one at a time, and reads their state."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / RUN_FILE
        self._task: asyncio.Task[None] | None = None
        # Where the file cannot be written, this worker alone shows the state.
        self._own: ReplayState | None = None
        self.is_ending = False

    def read(self) -> ReplayState | None:
        """Return the state of the current or last replay of this machine."""
        try:
            state = _STATE.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return self._own
        if state.phase == "running" and state.updated_at < datetime.now(UTC) - _SILENT:
            state.phase = "stopped"
        return state

    def start(self, run: Run, *, actor: str, total: int) -> bool:
        """Start a replay; returns False if one is running or the service is ending."""
        last = self.read()
        if self.is_ending or (last is not None and last.phase == "running"):
            return False
        now = datetime.now(UTC)
        self._own = state = ReplayState(actor, total, started_at=now, updated_at=now)
        self._write(state)
        self._task = asyncio.create_task(self._run(run, state))
        return True

    def end(self) -> None:
        """Stop between two batches, as the service is about to end."""
        self.is_ending = True
        if self._task is not None:
            self._task.cancel()

    async def wait(self) -> None:
        """Wait until the replay of this worker has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop the replay and wait for its end."""
        self.end()
        await self.wait()

    async def _run(self, run: Run, state: ReplayState) -> None:
        writing = asyncio.create_task(self._keep_writing(state))
        state_at_end: Phase = "stopped"
        try:
            await run(state.add)
            state_at_end = "finished"
        except Exception:
            state_at_end = "failed"
            log.exception("replay failed")
        finally:
            writing.cancel()
            state.phase = state_at_end
            self._write(state)

    async def _keep_writing(self, state: ReplayState) -> None:
        """Show that this worker is alive, also during a batch that takes minutes."""
        while True:
            await asyncio.sleep(_WRITE_EVERY_S)
            self._write(state)

    def _write(self, state: ReplayState) -> None:
        state.updated_at = datetime.now(UTC)
        new = self._path.with_suffix(".new")
        try:
            new.touch(mode=0o600)
            new.write_bytes(orjson.dumps(asdict(state)))
            new.replace(self._path)
        except OSError as error:
            log.warning(
                "state of the replay not written", extra=fields(error=error.strerror)
            )

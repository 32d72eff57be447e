"""Parent of the workers: starts, replaces and stops them.

It holds the listening socket all the time, so a client that connects while a worker is
replaced, or while all have crashed, waits in the kernel's queue and is not refused.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from app.errors import OperatorError, WorkerError
from app.logs import fields
from app.metrics.snapshots import fold_snapshot
from app.serving.limits import RELOAD_DRAIN_S
from app.serving.process import PAUSE_S, Spawn, WorkerProcess
from app.serving.systemd import Notifier
from app.settings import Settings

log = logging.getLogger(__name__)

# Pause at most 1 s after a worker that had served, and longer after one that never
# started, because the next one would only fail again.
_LONGEST_PAUSE_S = {True: 1.0, False: 30.0}
_HEALTHY_S = 10.0
# After its connections have ended, a worker commits queued events and exits.
_EXIT_S = 5.0
_TERMINAL = 0


class Supervisor:
    """Keeps a fixed number of workers serving.

    Args:
        spawn: starts the process of a worker, given its end of the control socket.
        settings: number of workers and limits of their shutdown.
        listener: the listening socket; closed when the service stops.
        notifier: reports the state to the service manager.
        metrics_dir: directory of the workers' snapshots.
    """

    def __init__(
        self,
        spawn: Spawn,
        *,
        settings: Settings,
        listener: socket.socket,
        notifier: Notifier,
        metrics_dir: Path | None = None,
    ) -> None:
        self._spawn = spawn
        self._listener = listener
        self._stop_s = settings.drain_timeout_seconds + _EXIT_S
        self._notifier = notifier
        self._metrics_dir = metrics_dir
        self._config: Mapping[str, object] = {}
        self._on_terminal = os.isatty(_TERMINAL)
        self._stopping = asyncio.Event()
        self._reload_requested = asyncio.Event()
        self._has_served = False
        self._error: BaseException | None = None
        # Processes that have not ended; and those of them that serve, by slot.
        self._living: set[WorkerProcess] = set()
        self._slots = [WorkerProcess(spawn) for _ in range(settings.workers)]
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End the workers that are left."""
        for worker in self._slots:
            worker.abort()

    async def run(
        self,
        config: Mapping[str, object],
        *,
        reread: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        """Serve until SIGTERM or SIGINT; a second one kills the workers.

        SIGHUP replaces the workers.

        Args:
            config: settings of each worker that its environment does not have.
            reread: reads the part of `config` that may change, at SIGHUP. It raises
                OperatorError if that is not valid; then the workers keep the old one.

        Raises:
            WorkerError: no worker could start.
        """
        self._config = config
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_sighup)
        for worker in self._slots:
            self._begin(worker)
        reloads = asyncio.create_task(self._reload_on_request(reread))
        await self._stopping.wait()
        reloads.cancel()
        self._notifier.stopping()
        self._listener.close()
        for worker in self._living:
            worker.stop(within_s=self._stop_s)
        await self._wait_for(self._living)
        if self._error is not None:
            raise self._error

    def _begin(self, worker: WorkerProcess) -> None:
        self._living.add(worker)
        worker.begin(self._config)
        task = asyncio.create_task(self._attend(worker))
        self._tasks.add(task)
        task.add_done_callback(self._on_attended)

    def _on_attended(self, task: asyncio.Task[None]) -> None:
        """End the service with the error: nobody watches this worker now."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self._stopping.set()

    async def _attend(self, worker: WorkerProcess) -> None:
        """Wait until a worker has ended; start another if it was in a slot."""
        if await worker.ready() and not self._has_served:
            self._has_served = True
            self._notifier.ready()
        status = await worker.wait()
        self._living.discard(worker)
        self._fold_metrics(worker, crashed=status != 0)
        if worker not in self._slots or self._stopping.is_set():
            return
        if status > 0 and not self._has_served:
            raise WorkerError("No worker could start; the log shows why.")
        age_s = time.monotonic() - worker.started_at
        longer = PAUSE_S if age_s > _HEALTHY_S else 2 * worker.pause_s
        pause = min(longer, _LONGEST_PAUSE_S[worker.has_served])
        log.error(
            "worker ended",
            extra=fields(pid=worker.pid, status=status, seconds_to_the_next=pause),
        )
        await asyncio.sleep(pause)
        while worker in self._slots and not self._stopping.is_set():
            new = self._start(pause)
            if new is not None:
                self._slots[self._slots.index(worker)] = new
            else:  # the system has no room for a process now
                await asyncio.sleep(_LONGEST_PAUSE_S[True])

    def _start(self, pause_s: float = PAUSE_S) -> WorkerProcess | None:
        try:
            worker = WorkerProcess(self._spawn, pause_s=pause_s)
        except OSError:
            log.exception("worker not started")
            return None
        self._begin(worker)
        return worker

    def _fold_metrics(self, worker: WorkerProcess, *, crashed: bool) -> None:
        if self._metrics_dir is None:
            return
        try:
            fold_snapshot(self._metrics_dir, worker.pid, crashed=crashed)
        except OSError:
            log.exception("metrics of a worker lost", extra=fields(pid=worker.pid))

    async def _reload_on_request(
        self, reread: Callable[[], Mapping[str, object]]
    ) -> None:
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            self._notifier.reloading()
            try:
                # Also for workers that replace crashed ones.
                self._config = {**self._config, **await asyncio.to_thread(reread)}
            except OperatorError as error:
                log.error("reload: configuration kept: %s", error.detail)  # noqa: TRY400 - the detail says it all
            old = await self._replace_workers()
            self._notifier.ready()
            await self._wait_for(old)

    async def _replace_workers(self) -> list[WorkerProcess]:
        """Replace one by one, each only by one that serves; returns the old ones."""
        old: list[WorkerProcess] = []
        for slot in range(len(self._slots)):
            new = self._start()
            if new is None or not await new.ready():
                log.error("workers not replaced", extra=fields(pid=new and new.pid))
                break
            replaced, self._slots[slot] = self._slots[slot], new
            old.append(replaced)
            replaced.drain(within_s=RELOAD_DRAIN_S + self._stop_s)
            log.info("worker replaced", extra=fields(pid=replaced.pid, by=new.pid))
        return old

    async def _wait_for(self, workers: Iterable[WorkerProcess]) -> None:
        """Wait until all have ended, whatever the watch of one of them met."""
        ends = (worker.wait() for worker in workers)
        await asyncio.gather(*ends, return_exceptions=True)

    def _on_stop(self) -> None:
        if self._stopping.is_set():
            for worker in self._living:
                worker.kill()
        self._stopping.set()

    def _on_sighup(self) -> None:
        """SIGHUP asks for a reload, but a terminal that closes sends it, too."""
        if self._on_terminal and not os.isatty(_TERMINAL):
            self._on_stop()
        self._reload_requested.set()

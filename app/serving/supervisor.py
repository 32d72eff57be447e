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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.errors import OperatorError, WorkerError
from app.logs import fields
from app.metrics.snapshots import fold_snapshot
from app.serving.limits import RELOAD_DRAIN_S
from app.serving.process import Config, Spawn, WorkerProcess
from app.serving.systemd import Notifier
from app.settings import Settings

log = logging.getLogger(__name__)

# Pause at most 1 s after a worker that had served, and longer after one that never
# started, because the next one would only fail again.
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = {True: 1.0, False: 30.0}
_HEALTHY_S = 10.0
# After its connections have ended, a worker commits queued events and exits.
_EXIT_S = 5.0
_TERMINAL = 0


@dataclass(kw_only=True)
class Supervisor:
    """Keeps as many workers serving as the settings say.

    Attributes:
        listener: closed when the service stops, while the workers still finish.
    """

    spawn: Spawn
    settings: Settings
    listener: socket.socket
    notifier: Notifier
    metrics_dir: Path | None = None

    def __post_init__(self) -> None:
        self._stop_s = self.settings.drain_timeout_seconds + _EXIT_S
        self._on_terminal = os.isatty(_TERMINAL)
        self._stopping = asyncio.Event()
        self._reload_requested = asyncio.Event()
        self._has_served = False
        self._slots = [WorkerProcess(self.spawn) for _ in range(self.settings.workers)]
        # Of the workers that run, those that drain included.
        self._tasks: dict[WorkerProcess, asyncio.Task[None]] = {}

    def close(self) -> None:
        """End the workers that are left."""
        for worker in self._slots:
            with worker.control, worker.process:
                worker.process.kill()

    async def run(self, config: Config, reread: Callable[[], Config] = dict) -> None:
        """Serve until SIGTERM or SIGINT, and replace the workers at SIGHUP.

        A second SIGTERM or SIGINT kills the workers. At SIGHUP, `reread` reads the part
        of the configuration that may change; the old one stays if it raises
        OperatorError.

        Raises:
            WorkerError: no worker could start.
        """
        self._config = config
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_sighup)
        for worker in self._slots:
            self._begin(worker, _SHORTEST_PAUSE_S)
        reloads = asyncio.create_task(self._reload_on_request(reread))
        await self._stopping.wait()
        reloads.cancel()
        self.notifier.stopping()
        self.listener.close()
        for worker in self._tasks:
            worker.stop()
            self._loop.call_later(self._stop_s, self._kill, worker)
        ends = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for error in filter(None, ends):
            raise error

    def _begin(self, worker: WorkerProcess, pause_s: float) -> WorkerProcess:
        def on_done(task: asyncio.Task[None]) -> None:
            if task.cancelled() or task.exception() is None:
                del self._tasks[worker]
            else:  # nobody watches this worker now
                self._stopping.set()

        self._tasks[worker] = self._loop.create_task(self._attend(worker, pause_s))
        self._tasks[worker].add_done_callback(on_done)
        return worker

    async def _attend(self, worker: WorkerProcess, pause_s: float) -> None:
        """Let a worker serve that was started after this pause; plan a successor."""
        began = time.monotonic()
        running = asyncio.create_task(worker.run(self._config))
        await worker.decided.wait()
        if worker.has_served and not self._has_served:
            self._has_served = True
            self.notifier.ready()
        status = await running
        if self.metrics_dir is not None:
            try:
                fold_snapshot(self.metrics_dir, worker.pid, crashed=status != 0)
            except OSError:
                log.exception("metrics of a worker lost", extra=fields(pid=worker.pid))
        if worker not in self._slots or self._stopping.is_set():
            return
        if status > 0 and not self._has_served:
            raise WorkerError("No worker could start; the log shows why.")
        is_healthy = time.monotonic() - began > _HEALTHY_S
        longer_s = _SHORTEST_PAUSE_S if is_healthy else 2 * pause_s
        pause_s = min(longer_s, _LONGEST_PAUSE_S[worker.has_served])
        log.error(
            "worker ended",
            extra=fields(pid=worker.pid, status=status, seconds_to_the_next=pause_s),
        )
        self._loop.call_later(pause_s, self._refill, worker, pause_s)

    def _refill(self, ended: WorkerProcess, pause_s: float) -> None:
        """Start a worker in the slot of one that has ended, unless a reload did."""
        if ended not in self._slots or self._stopping.is_set():
            return
        slot = self._slots.index(ended)
        try:
            self._slots[slot] = self._begin(WorkerProcess(self.spawn), pause_s)
        except OSError:  # the system has no room for a process now
            log.exception("worker not started")
            self._loop.call_later(_LONGEST_PAUSE_S[True], self._refill, ended, pause_s)

    async def _reload_on_request(self, reread: Callable[[], Config]) -> None:
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            self.notifier.reloading()
            try:
                # Also for workers that replace crashed ones.
                self._config = {**self._config, **await asyncio.to_thread(reread)}
            except OperatorError as error:
                log.error("reload: configuration kept: %s", error.detail)  # noqa: TRY400 - the detail says it all
            try:
                await self._replace_workers()
            except OSError:
                log.exception("workers not replaced")
            self.notifier.ready()
            if old := [self._tasks[each] for each in self._tasks if each.is_leaving]:
                await asyncio.wait(old)

    async def _replace_workers(self) -> None:
        """Replace one by one, each only by one that serves."""
        for slot in range(len(self._slots)):
            new = self._begin(WorkerProcess(self.spawn), _SHORTEST_PAUSE_S)
            await new.decided.wait()
            if not new.has_served:
                log.error("workers not replaced", extra=fields(pid=new.pid))
                break
            replaced, self._slots[slot] = self._slots[slot], new
            replaced.drain()
            self._loop.call_later(RELOAD_DRAIN_S + self._stop_s, self._kill, replaced)
            log.info("worker replaced", extra=fields(pid=replaced.pid, by=new.pid))

    def _kill(self, worker: WorkerProcess) -> None:
        if worker in self._tasks:
            log.error("worker did not exit", extra=fields(pid=worker.pid))
            worker.process.kill()

    def _on_stop(self) -> None:
        if self._stopping.is_set():
            for worker in self._tasks:
                worker.process.kill()
        self._stopping.set()

    def _on_sighup(self) -> None:
        """SIGHUP asks for a reload, but a terminal that closes sends it, too."""
        if self._on_terminal and not os.isatty(_TERMINAL):
            self._on_stop()
        self._reload_requested.set()

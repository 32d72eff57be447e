"""The parent of the workers: it starts them, replaces them, and ends them.

It holds the listening socket all along, so whoever connects while a worker is being
replaced, or while all are gone, waits in the kernel's queue and is not refused.
"""

import asyncio
import logging
import os
import signal
import socket

from app.errors import WorkerError
from app.logs import fields
from app.serving.instructions import Instructions
from app.serving.notify import Notifier
from app.serving.process import Worker
from app.serving.starting import Starter
from app.settings import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
# One that served is missed; one that never did would only fail again.
_LONGEST_PAUSE_S = {True: 1.0, False: 30.0}
_DOUBLINGS = 10
_TERMINAL = 0
_HEALTHY_S = 10.0
# Beyond what a worker gives its requests: to commit what waits, and to end.
_ENDING_S = 5.0


class Supervisor:
    """So many workers, each of which serves whoever connects.

    The first are copies of this process, which has loaded all that they need; make
    them before there is a second thread. Those that come later are new programs, so
    that they run what is then on disk.

    Args:
        starter: makes their processes.
        settings: how many there are, and how long they may take to leave.
        listener: the socket that they share; closed when the service stops.
        notifier: tells the service manager.
    """

    def __init__(
        self,
        starter: Starter,
        *,
        settings: Settings,
        listener: socket.socket,
        notifier: Notifier,
    ) -> None:
        self._starter = starter
        self._listener = listener
        self._leaving_s = settings.drain_timeout_seconds + _ENDING_S
        self._notifier = notifier
        self._instructions = b""
        self._living: set[Worker] = set()
        self._has_served = False
        self._on_terminal = os.isatty(_TERMINAL)
        self._told_to_leave = asyncio.Event()
        self._told_to_renew = asyncio.Event()
        self._workers = [Worker(starter.fork) for _ in range(settings.workers)]

    def close(self) -> None:
        """End the workers, if none was told to begin."""
        for worker in self._workers:
            worker.forsake()

    async def run(self, instructions: Instructions) -> None:
        """Serve until told to leave.

        SIGTERM and SIGINT stop the service, a second one at once; SIGHUP replaces
        its workers.

        Args:
            instructions: for each worker.

        Raises:
            WorkerError: the workers end by themselves before one has ever served.
        """
        self._instructions = instructions.line()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        for worker in self._workers:
            self._begin(worker)
        tasks = {
            asyncio.create_task(self._told_to_leave.wait()),
            asyncio.create_task(self._renew_when_told()),
            *(asyncio.create_task(self._keep(n)) for n in range(len(self._workers))),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await self._end()

    def _begin(self, worker: Worker) -> None:
        self._living.add(worker)
        worker.begin(self._instructions, ended=self._living.discard)

    async def _keep(self, place: int) -> None:
        """Have somebody serve at one of the places, whatever ends."""
        failures = 0
        while True:
            worker = self._workers[place]
            if await worker.ready() and not self._has_served:
                self._has_served = True
                self._notifier.ready()
            status = await worker.ended()
            if worker is self._workers[place]:
                if status > 0 and not self._has_served:
                    raise WorkerError("No worker could start; the log says why.")
                failures = 0 if worker.age_s > _HEALTHY_S else failures + 1
                await self._pause(worker, failures, status)
            if worker is self._workers[place]:
                await self._replace(worker, place)
            else:
                failures = 0

    async def _replace(self, worker: Worker, place: int) -> None:
        """Put another in its place, as soon as one can be started."""
        while worker is self._workers[place]:
            self._workers[place] = self._new() or worker
            if worker is self._workers[place]:  # nobody tells when there is room
                await asyncio.sleep(_LONGEST_PAUSE_S[True])

    async def _pause(self, worker: Worker, failures: int, status: int) -> None:
        # So that workers which cannot live do not take all of the machine to die.
        longest = _LONGEST_PAUSE_S[worker.served]
        pause = min(_FIRST_PAUSE_S * 2 ** min(failures, _DOUBLINGS), longest)
        told = fields(pid=worker.pid, status=status, seconds_to_the_next=pause)
        log.error("worker ended", extra=told)
        await asyncio.sleep(pause)

    def _new(self) -> Worker | None:
        try:
            worker = Worker(self._starter.spawn)
        except OSError:  # no process can be had, or no program is there
            log.exception("worker not started")
            return None
        self._begin(worker)
        return worker

    async def _renew_when_told(self) -> None:
        while True:
            await self._told_to_renew.wait()
            self._told_to_renew.clear()
            self._notifier.reloading()
            await self._renew()
            self._notifier.ready()

    async def _renew(self) -> None:
        """Replace one after the other, each only by one that accepts."""
        for place in range(len(self._workers)):
            new = self._new()
            if new is None or not await new.ready():
                log.error("workers not replaced", extra=fields(pid=new and new.pid))
                return
            old, self._workers[place] = self._workers[place], new
            old.retire()
            await self._see_off(old)
            log.info("worker replaced", extra=fields(pid=old.pid, by=new.pid))

    async def _see_off(self, *workers: Worker) -> None:
        """Wait until they have ended, and end those that do not."""
        leaving = asyncio.gather(*(worker.ended() for worker in workers))
        try:
            await asyncio.wait_for(asyncio.shield(leaving), self._leaving_s)
        except TimeoutError:
            for worker in self._living.intersection(workers):
                log.error("worker did not leave", extra=fields(pid=worker.pid))  # noqa: TRY400 - a trace of the waiting says nothing
                worker.kill()
            await leaving

    def _leave(self) -> None:
        if self._told_to_leave.is_set():
            for worker in self._living:
                worker.kill()
        self._told_to_leave.set()

    def _hang_up(self) -> None:
        """SIGHUP is an order to renew; but a terminal that is closed sends it, too."""
        if self._on_terminal and not os.isatty(_TERMINAL):
            self._leave()
        self._told_to_renew.set()

    async def _end(self) -> None:
        self._notifier.stopping()
        self._listener.close()
        for worker in self._living:
            worker.stop()
        await self._see_off(*self._living)

"""A service on a database, the load on it, and the measurements of a fault."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from app.store.keys.keys import create_key
from app.store.operator_session import in_operator_transaction
from tests.support.eventually import eventually
from tests.support.faults.figures import Row
from tests.support.faults.postgres import Postgres
from tests.support.faults.sender import Load, dial, get, under_load
from tests.support.limits import DEFAULT
from tests.support.postgres.proxy import Proxy
from tests.support.service.process import Service

MIB = 1024 * 1024
_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'rollcall'"
    " AND pid <> pg_backend_pid()"
)

Serve = Callable[..., Service]


def status_bytes(pid: int, name: str) -> int:
    """VmRSS or VmHWM of a process; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    sizes = [int(line.split()[1]) for line in lines if line.startswith(f"{name}:")]
    return sizes[0] * 1024 if sizes else 0


@dataclass(slots=True)
class Stage:
    """The database and the services of one row.

    Attributes:
        url: of the database itself, past any proxy.
        serve: starts a service, as tests/system does.
        journal: whether the service may buffer.
    """

    postgres: Postgres
    url: str
    key: str
    serve: Serve
    journal: bool
    proxy: Proxy | None = None
    services: list[Service] = field(default_factory=list)

    @property
    def service(self) -> Service:
        """The newest."""
        return self.services[-1]

    def start(
        self,
        *,
        workers: int = 1,
        port: int = 0,
        listener: socket.socket | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
        limits: Mapping[str, str] = DEFAULT,
        **settings: str,
    ) -> Service:
        """Start a service; it blocks, so do it before there is load."""
        settings.setdefault("journal", "on" if self.journal else "off")
        service = self.serve(
            *("--workers", str(workers)),
            port=port,
            listener=listener,
            environ=environ,
            limits=limits,
            database_url=self.proxy.url if self.proxy else self.url,
            **settings,
        )
        self.services.append(service)
        return service

    async def start_proxied(self, *, workers: int = 1) -> Service:
        """Likewise, while this event loop's proxy serves it."""
        return await asyncio.to_thread(self.start, workers=workers)

    def pids(self) -> list[int]:
        """Of those that answer."""
        return self.service.workers() or [self.service.process.pid]

    async def connections(self) -> int:
        """Of the service to its database."""
        count: int = await self.postgres.execute(_CONNECTIONS, url=self.url)
        return count

    async def get(self, path: str) -> tuple[int, bytes]:
        """Ask on a connection of its own."""
        line = await dial(self.service.endpoint)
        try:
            status, _, body = await line.ask(get(path))
        finally:
            line.close()
        return status, body

    @asynccontextmanager
    async def trial(
        self, row: Row, *, rate: float = 150, size: int = 1, warm: int = 100
    ) -> AsyncIterator["Trial"]:
        """Load before, during and after a fault; then the set check.

        Args:
            row: gets the figures that every row has.
            rate: requests a second.
            size: events in a body.
            warm: events that are confirmed before the fault.
        """
        async with under_load(
            self.service.endpoint, self.key, rate=rate, size=size
        ) as load:
            await load.until_confirmed(warm)
            trial = Trial(self, load)
            await trial.begin()
            yield trial
            await trial.end()
        await trial.drained()
        row.verdict(await load.ledger.check(self.url))
        trial.tell(row)


@dataclass(slots=True)
class Trial:
    """The measurements while a fault lasts."""

    stage: Stage
    load: Load
    memory_before: dict[int, int] = field(default_factory=dict)
    memory_peak: int = 0
    connections_before: int = 0
    connections_after: int = 0
    recovery_s: float = 0.0

    async def begin(self) -> None:
        self.memory_before = {
            pid: status_bytes(pid, "VmRSS") for pid in self.stage.pids()
        }
        self.connections_before = await self.stage.connections()

    async def end(self) -> None:
        """Note the growth of those processes that were there before."""
        self.connections_after = await self.stage.connections()
        self.memory_peak = max(
            0,
            *(
                status_bytes(pid, "VmHWM") - before
                for pid, before in self.memory_before.items()
            ),
        )

    async def recovered(self, *, within_s: float = 30) -> float:
        """Seconds from now, the fault's end, to the first event that is stored."""
        self.recovery_s = await self.load.until_new("stored", within_s=within_s)
        return self.recovery_s

    async def drained(self) -> None:
        """Wait until every buffered event is a row, if any was buffered."""
        if not self.load.ledger.statuses["buffered"]:
            return
        present = partial(self.load.ledger.present, self.stage.url)
        await eventually(present)

    def tell(self, row: Row) -> None:
        """Add one line of the figures that have a bar only in some rows."""
        ledger = self.load.ledger
        row.told(
            "besides",
            f"{len(ledger.confirmed)} confirmed, {ledger.statuses['buffered']} buffered"
            f" of {ledger.events}; {self.count(503, 429)} refused,"
            f" {self.load.unanswered.total()} without an answer"
            f" {dict(self.load.unanswered) or ''},"
            f" {self.disorder:.2%} out of order;"
            f" longest {self.slowest:.2f} s, +{self.memory_peak / MIB:.0f} MB,"
            f" back in {self.recovery_s:.2f} s,"
            f" {self.connections_before} -> {self.connections_after} connections",
        )

    @property
    def slowest(self) -> float:
        return max((answer.seconds for answer in self.load.answers), default=0.0)

    @property
    def disorder(self) -> float:
        """The share of answers that are neither 2xx nor a refusal with Retry-After."""
        answers = self.load.answers
        return sum(not a.is_in_order for a in answers) / max(1, len(answers))

    @property
    def failed(self) -> int:
        """Attempts that were not answered 200, or not at all."""
        answers = len(self.load.answers)
        return self.load.unanswered.total() + answers - self.count(200)

    def count(self, *statuses: int) -> int:
        """Answers with one of these."""
        return sum(answer.status in statuses for answer in self.load.answers)


async def new_key(url: str, source: str = "billing-backend") -> str:
    """A write key."""
    return await in_operator_transaction(url, lambda c: create_key(c, source=source))

"""A Postgres of the fault tests' own: to be killed, frozen and filled."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from app.embedded import Cluster, find_binaries
from app.embedded.server import ensure_running, is_running, stop
from app.embedded.service_user import user_for
from app.store.dsn import dsn_of
from app.store.migrations import migrate
from tests.support.service.process import until

SETTINGS = {"shared_buffers": "32MB", "wal_compression": "off", "max_connections": "40"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that nobody watches over.

    Attributes:
        template: the name of a database at the newest revision.
    """

    site: Cluster
    template: str = "template_of_faults"

    def url(self, database: str = "postgres") -> str:
        return self.site.url(database)

    def start(self) -> None:
        """Return once it answers."""
        ensure_running(self.site)

    def kill(self) -> None:
        """End it at once, as a crash does; return once nothing of it is left."""
        for pid in self._processes():
            _signal(pid, signal.SIGKILL)
        until(lambda: not is_running(self.site), within_s=10, what="no Postgres")

    def freeze(self) -> list[int]:
        """Stop every process of it; returns what `thaw` needs."""
        frozen = self._processes()
        for pid in frozen:
            _signal(pid, signal.SIGSTOP)
        return frozen

    def thaw(self, frozen: list[int]) -> None:
        for pid in reversed(frozen):
            _signal(pid, signal.SIGCONT)

    async def new_database(self) -> str:
        """At the newest revision; returns its URL."""
        name = f"faults_{secrets.token_hex(6)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        return self.url(name)

    async def drop(self, url: str) -> None:
        await self.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    async def execute(self, statement: str, *, url: str | None = None) -> Any:
        """Run one statement by itself; returns its first value."""
        connection = await asyncpg.connect(dsn_of(url or self.url()))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def script(self, statements: str, *, url: str) -> None:
        """Run several."""
        connection = await asyncpg.connect(dsn_of(url))
        try:
            await connection.execute(statements)
        finally:
            await connection.close()

    def _processes(self) -> list[int]:
        """The postmaster first, so that it starts no others meanwhile."""
        postmaster = self.site.listening_pid()
        assert postmaster, "Postgres does not run"
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text()
        return [postmaster, *map(int, children.split())]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # a backend that has just ended
        return


@contextmanager
def own_postgres(directory: Path, settings: Mapping[str, str]) -> Iterator[Postgres]:
    """A new one, for as long as the context lasts."""
    state_dir = Path(tempfile.mkdtemp(prefix="rollcall-faults-", dir=directory))
    state_dir.chmod(0o711)
    site = Cluster(
        state_dir=state_dir,
        bin_dir=find_binaries(None),
        user=user_for(state_dir / "postgres"),
        settings=settings,
    )
    server = Postgres(site)
    try:
        server.start()
        asyncio.run(_make_template(server))
        yield server
    finally:
        stop(site)
        shutil.rmtree(state_dir)


async def _make_template(server: Postgres) -> None:
    await server.execute(f"CREATE DATABASE {server.template}")
    await migrate(server.url(server.template))

"""The benchmark's own Postgres, with the product's settings, on a real disk."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from app.embedded import Cluster, running
from app.store.dsn import dsn_of
from app.store.keys.keys import create_key
from app.store.migrations import migrate
from app.store.operator_session import in_operator_transaction

SOURCE = "bench"
_PLACES = (Path("/var/tmp"), Path.cwd())  # noqa: S108 - mkdtemp makes the directory
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_TEMPLATE = "bench_template"
_STATEMENT_TIMEOUT_S = 900.0


class BenchmarkError(Exception):
    """A run that proves nothing, and why."""


@dataclass(frozen=True, slots=True)
class Server:
    """The running Postgres with a migrated template in it.

    Attributes:
        cluster: the embedded Postgres.
        directory: the benchmark's own, on the same disk; gone at the end.
        key: a write key that every database knows.
    """

    cluster: Cluster
    directory: Path
    key: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database at the newest schema; yields its URL."""
        name = f"bench_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        try:
            yield self.cluster.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def checkpoint(self) -> None:
        """Write out what is dirty, so that no run pays for the one before it."""
        self.run("CHECKPOINT")

    def checkpoints(self) -> int:
        """How many there have been."""
        [[count]] = self.run("SELECT num_done FROM pg_stat_checkpointer")
        return int(count)

    def run(self, statement: str) -> list[Any]:
        """Run a statement of no database in particular, committed by itself."""
        return run(self.cluster.url("postgres"), statement)


def run(url: str, statement: str) -> list[Any]:
    """Run one statement, committed by itself, and return its rows."""
    return asyncio.run(_run(url, statement))


async def _run(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(
        dsn_of(url), command_timeout=_STATEMENT_TIMEOUT_S
    )
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


@contextmanager
def postgres(place: Path | None) -> Iterator[Server]:
    """Start a Postgres in a new directory, and remove it all at the end.

    Args:
        place: where to make the directory; by default somewhere on a disk.

    Raises:
        BenchmarkError: the place is in memory, where a commit costs nothing.
    """
    directory = Path(tempfile.mkdtemp(prefix="rollcall-bench-", dir=_on_disk(place)))
    directory.chmod(0o711)  # root's Postgres runs as another user
    try:
        with running(directory / "state") as cluster:
            _create_template(cluster)
            url = cluster.url(_TEMPLATE)
            asyncio.run(migrate(url))
            key = asyncio.run(
                in_operator_transaction(url, partial(create_key, source=SOURCE))
            )
            yield Server(cluster, directory, key)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _create_template(cluster: Cluster) -> None:
    url = cluster.url("postgres")
    [[directory]] = run(url, "SHOW data_directory")
    if directory != str(cluster.data_dir):
        raise BenchmarkError(f"{directory} is not the server that was started.")
    run(url, f"CREATE DATABASE {_TEMPLATE}")


def _on_disk(place: Path | None) -> Path:
    for candidate in [place] if place else _PLACES:
        if filesystem_of(candidate) not in _IN_MEMORY:
            return candidate
    raise BenchmarkError(
        "A commit is durable only on a disk: name a directory on one with --place."
    )


def filesystem_of(path: Path) -> str:
    """The type of the file system that a path is on, such as ext4."""
    path = path.resolve()
    best, kind = Path("/"), "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, type_, *_ = line.split()
        if path.is_relative_to(mount) and len(mount) >= len(str(best)):
            best, kind = Path(mount), type_
    return kind

"""Databases on the Citus cluster that ROLLCALL_TEST_CITUS_URL names.

The URL is that of the coordinator, for a superuser. The database in it has the
extension, and knows the workers. Tests that are marked `on_citus` run on a single
server and on the cluster, each in a database of its own.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from app.store.dsn import dsn_of
from app.store.migrations import migrate
from app.store.shards.distribute import distribute
from tests.conftest import environment

BUCKETS = 4
# Citus would make the database on the workers, too, without the extension.
_ALONE = "SET citus.enable_create_database_propagation = off"
_WORKERS = (
    "SELECT nodename, nodeport FROM pg_dist_node"
    " WHERE isactive AND shouldhaveshards AND groupid > 0"
)


class Node(NamedTuple):
    """One server of the cluster.

    Attributes:
        url: of a database on it.
        host: of it.
        port: of it.
    """

    url: str
    host: str
    port: int

    def at(self, database: str) -> str:
        """URL of another database on it."""
        url = make_url(self.url).set(database=database)
        return url.render_as_string(hide_password=False)


def citus_url() -> str:
    """URL of the coordinator; skips the test where none is named."""
    url = environment("ROLLCALL_TEST_CITUS_URL")
    if not url:
        pytest.skip("ROLLCALL_TEST_CITUS_URL names no Citus cluster")
    return url


async def nodes_of(url: str) -> list[Node]:
    """The coordinator, then the workers."""
    parts = make_url(url)
    found = [Node(url, parts.host or "127.0.0.1", parts.port or 5432)]
    for host, port in await fetch(url, _WORKERS):
        there = parts.set(host=host, port=port)
        found.append(Node(there.render_as_string(hide_password=False), host, port))
    return found


@asynccontextmanager
async def undistributed_database() -> AsyncIterator[str]:
    """A new database on the cluster at the newest revision; yields its URL."""
    nodes = await nodes_of(citus_url())
    name = f"rollcall_test_{secrets.token_hex(6)}"
    try:
        for node in nodes:
            await execute(node.url, _ALONE, f"CREATE DATABASE {name}")
            await execute(node.at(name), "CREATE EXTENSION citus")
        [coordinator, *workers] = nodes
        url = coordinator.at(name)
        host, port = coordinator.host, coordinator.port
        adding = [f"SELECT citus_set_coordinator_host('{host}', {port})"]
        adding += [f"SELECT citus_add_node('{w.host}', {w.port})" for w in workers]
        await execute(url, *adding)
        await migrate(url)
        yield url
    finally:
        for node in reversed(nodes):
            await execute(
                node.url, _ALONE, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
            )


@asynccontextmanager
async def distributed_database() -> AsyncIterator[str]:
    """A new database of several buckets."""
    async with undistributed_database() as url:
        await distribute(url, count=BUCKETS)
        yield url


async def execute(url: str, *statements: str) -> None:
    """Run statements, each by itself."""
    connection = await asyncpg.connect(dsn_of(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(url: str, query: str) -> list[asyncpg.Record]:
    """The rows of a query."""
    connection = await asyncpg.connect(dsn_of(url))
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


@pytest.fixture
def citus_database_url() -> Iterator[str]:
    """A database of several buckets, this test's own."""
    # With a factory, the runner leaves alone the event loops that tests use.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        database = distributed_database()
        url = runner.run(database.__aenter__())
        try:
            yield url
        finally:
            runner.run(database.__aexit__(None, None, None))

"""Connecting to one of several hosts."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.metrics.catalog import WORKERS_BY_HOST
from app.metrics.counters import Metrics
from app.store.db_errors import DATABASE_ERRORS
from app.store.engine import HostWatch, create_engine, create_migration_engine
from app.store.hosts import each_host
from app.store.operator.causes import sqlstate_of
from tests.support.limits import PATIENCE_S
from tests.support.metrics.samples import figures_of
from tests.support.postgres.patient import patient_engine
from tests.support.postgres.proxy import Proxy
from tests.support.store.sabotage import set_read_only

PORT = text("SELECT 1")
# Of `PATIENCE_S`, which a connection has.
QUICK_S = PATIENCE_S / 3


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
async def leader(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).listening() as proxy:
        yield proxy


def url_of(proxy: Proxy, *others: str, behind: str = "", query: str = "") -> str:
    """A URL with the other hosts before the proxied one, and one behind it."""
    url = make_url(proxy.url)
    places = ",".join(filter(None, [*others, f"{url.host}:{url.port}", behind]))
    return f"postgresql://{url.username}@{places}/{url.database}?sslmode=disable{query}"


async def seconds_to_connect(engine: AsyncEngine) -> float:
    began = time.monotonic()
    async with engine.connect() as connection:
        assert await connection.scalar(PORT) == 1
    await engine.dispose()
    return time.monotonic() - began


async def test_silent_host_costs_nothing(
    leader: Proxy, silent: str, closed_address: str
) -> None:
    for url in (
        url_of(leader, silent, closed_address),
        url_of(leader, closed_address, behind=silent),
    ):
        assert await seconds_to_connect(patient_engine(url)) < QUICK_S
        engine = create_migration_engine(url, lock_timeout_s=1)
        assert await seconds_to_connect(engine) < QUICK_S


async def test_host_that_accepts_writes_is_chosen(
    leader: Proxy, database_url: str, engine: AsyncEngine
) -> None:
    await set_read_only(engine, "on")
    async with Proxy(database_url).listening() as standby:
        place = make_url(standby.url)
        url = url_of(leader, f"{place.host}:{place.port}")
        with pytest.raises(ConnectionError, match="is read-write"):
            await seconds_to_connect(create_engine(url))
        reading = url_of(leader, query="&target_session_attrs=read-only")
        assert await seconds_to_connect(patient_engine(reading)) < QUICK_S


@pytest.mark.parametrize("wanted", ["prefer-standby", "any"])
async def test_preference_that_nobody_meets_is_given_up(
    leader: Proxy, silent: str, wanted: str
) -> None:
    url = url_of(leader, silent, query=f"&target_session_attrs={wanted}")
    engine = create_engine(url, connect_timeout_s=4)
    assert await seconds_to_connect(engine) > 0


async def test_single_host_of_the_wrong_kind_is_an_outage(leader: Proxy) -> None:
    url = url_of(leader, query="&target_session_attrs=standby")
    with pytest.raises(ConnectionError, match="is standby"):
        await seconds_to_connect(create_engine(url))


async def test_hosts_without_a_response_in_time_are_a_timeout(silent: str) -> None:
    url = f"postgresql://u@{silent},{silent}/d?sslmode=disable"
    with pytest.raises(TimeoutError):
        await seconds_to_connect(create_engine(url, connect_timeout_s=0.2))


async def test_least_final_failure_of_several_hosts_is_raised(
    leader: Proxy, closed_address: str
) -> None:
    refused = url_of(leader).replace("/rollcall_test", "/missing")
    both = url_of(leader, closed_address).replace("/rollcall_test", "/missing")

    with pytest.raises(DATABASE_ERRORS) as final:
        await seconds_to_connect(create_engine(refused))
    assert sqlstate_of(final.value) == "3D000"
    with pytest.raises(OSError, match="Connect"):
        await seconds_to_connect(create_engine(both))


async def test_other_connections_are_closed(leader: Proxy, engine: AsyncEngine) -> None:
    url = make_url(leader.url)
    place = f"{url.host}:{url.port}"
    service = create_engine(url_of(leader, place, place))
    sessions = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'rollcall'"
        " AND client_addr IS NOT DISTINCT FROM NULL AND pid <> pg_backend_pid()"
    )
    async with service.connect() as connection:
        assert await connection.scalar(PORT) == 1
        async with engine.connect() as watcher, asyncio.timeout(PATIENCE_S):
            while await watcher.scalar(sessions) != 1:
                await watcher.rollback()
    await service.dispose()


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://u:p@a:1,b/d?x=1", ["u:p@a:1", "u:p@b"]),
        ("postgresql://u@[::1]:1,b/d", ["u@[::1]:1", "u@b"]),
        ("postgresql://a,b/d", ["a", "b"]),
    ],
)
def test_each_host_gets_a_url(dsn: str, expected: list[str]) -> None:
    for one, netloc in zip(each_host(dsn), expected, strict=True):
        assert one.startswith(f"postgresql://{netloc}/d")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("host=%2Fsocket&port=5432", [("/socket", "5432")]),
        ("host=a%2Cb", [("a", None), ("b", None)]),
        ("host=a%2Cb&port=1%2C2", [("a", "1"), ("b", "2")]),
        ("host=a%2Cb&port=1", [("a", "1"), ("b", "1")]),
        ("x=1", [(None, None)]),
    ],
)
def test_each_host_of_the_parameters_gets_a_url(
    query: str, expected: list[tuple[str | None, str | None]]
) -> None:
    found = [
        dict(parse_qsl(urlsplit(dsn).query))
        for dsn in each_host(f"postgresql:///d?{query}")
    ]
    assert [(url.get("host"), url.get("port")) for url in found] == expected


async def test_connected_host_is_logged_and_counted(
    leader: Proxy, silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics = Metrics()
    url = make_url(leader.url)
    engine = create_engine(
        url_of(leader, silent), on_host=HostWatch(metrics, name="writing")
    )
    for _ in range(2):
        await seconds_to_connect(engine)
    place = f"{url.host}:{url.port}"
    figures = figures_of(metrics)
    assert figures(WORKERS_BY_HOST.name, pool="writing", host=place) == 1
    [line] = [r for r in caplog.records if r.message == "connected to a database host"]
    assert f"'host': '{place}'" in str(line.__dict__)


def test_host_after_a_failover_replaces_the_old_one() -> None:
    metrics = Metrics()
    watch = HostWatch(metrics, name="reading")
    for host in ("db1:5432", "db2:5432"):
        watch(host)
    assert figures_of(metrics).labels(WORKERS_BY_HOST.name, "host") == {"db2:5432"}

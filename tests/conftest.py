"""The fixtures of every test that needs Postgres, or the public test vectors.

One cluster a session, one migrated template in it, one clone of it a test.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.embedded import Cluster, running
from app.store.migrations import migrate
from tests.support.postgres.patient import patient_engine

ROOT = Path(__file__).resolve().parents[1]
# A busy machine may take long for any example. All else stays as Hypothesis chose it.
_CHOSEN = settings.get_profile(settings.get_current_profile_name())
settings.register_profile(
    "patient",
    _CHOSEN,
    deadline=None,
    suppress_health_check=[*_CHOSEN.suppress_health_check, HealthCheck.too_slow],
)
settings.load_profile("patient")

_COVERAGE = "COVERAGE_PROCESS_CONFIG"
MEASURED: dict[str, str] = {}

pytest_plugins = ["tests.support.postgres.citus", "tests.support.app.fixtures"]


def pytest_configure(config: pytest.Config) -> None:
    """Leave most programs that tests start out of the coverage.

    There are hundreds of them, and watching each takes as long as the thing itself.
    Some services are watched all the same: `MEASURED` is their environment.
    """
    if hasattr(config, "workerinput"):
        value = os.environ.pop(_COVERAGE, None)  # noqa: TID251 - not a setting
        if value is not None:
            MEASURED[_COVERAGE] = value


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the files, so that tests that wait run beside tests that compute."""
    items.sort(key=lambda item: zlib.crc32(item.path.name.encode()))


@dataclass(frozen=True, slots=True)
class OutsideServer:
    """The server that ROLLCALL_TEST_DATABASE_URL names."""

    any_url: str

    def url(self, database: str) -> str:
        url = make_url(self.any_url).set(database=database)
        return url.render_as_string(hide_password=False)


@dataclass(frozen=True, slots=True)
class Admin:
    """Runs single statements on the server, each committed by itself."""

    server: Cluster | OutsideServer
    runner: asyncio.Runner
    engine: AsyncEngine

    def scalar(self, statement: str) -> object:
        return self.runner.run(self._scalar(statement))

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """A new database, for as long as the context lasts; yields its URL."""
        name = f"rollcall_test_{secrets.token_hex(6)}"
        # Copying files takes half the time of copying blocks through the log.
        self.scalar(
            f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}"
            " STRATEGY file_copy"
        )
        try:
            yield self.server.url(name)
        finally:
            self.scalar(f"DROP DATABASE {name} WITH (FORCE)")

    async def _scalar(self, statement: str) -> object:
        autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        async with autocommit.connect() as connection:
            result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None


def environment(name: str) -> str | None:
    return os.environ.get(name)  # noqa: TID251 - no setting of the service


def _memory_disk() -> Path | None:
    """A roomy one that may hold programs: a clone writes 8 MB, durably."""
    path = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory in it
    if not path.is_dir():
        return None
    status = os.statvfs(path)
    roomy = status.f_bavail * status.f_frsize >= 1 << 30
    return path if roomy and not status.f_flag & os.ST_NOEXEC else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster | OutsideServer]:
    """A Postgres of the session's own, or the one that the caller names."""
    outside = environment("ROLLCALL_TEST_DATABASE_URL")
    if outside:
        yield OutsideServer(outside)
        return
    # Not pytest's tmp_path, which the server's user could not reach if we are root.
    state_dir = Path(tempfile.mkdtemp(prefix="rollcall-test-", dir=_memory_disk()))
    state_dir.chmod(0o711)
    # Compressing it takes most of the time that a clone of the template takes.
    settings = {"shared_buffers": "32MB", "wal_compression": "off"}
    try:
        with running(state_dir, settings=settings) as own:
            yield own
    finally:
        shutil.rmtree(state_dir)


@pytest.fixture(scope="session")
def admin(cluster: Cluster | OutsideServer) -> Iterator[Admin]:
    # With a factory, the runner leaves alone the event loops that tests use.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        engine = patient_engine(cluster.url("postgres"))
        admin = Admin(cluster, runner, engine)
        if isinstance(cluster, Cluster):
            directory = admin.scalar("SHOW data_directory")
            assert directory == str(cluster.data_dir), "not the server that we started"
        yield admin
        runner.run(engine.dispose())


@pytest.fixture(scope="session")
def template_url(admin: Admin) -> Iterator[str]:
    """A database at the newest revision: to clone, never to write to."""
    with admin.database() as url:
        admin.runner.run(migrate(url))
        yield url


@pytest.fixture
def empty_database_url(admin: Admin) -> Iterator[str]:
    """A database without any schema."""
    with admin.database() as url:
        yield url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that are marked `on_citus` on both kinds of database."""
    mark = metafunc.definition.get_closest_marker("on_citus")
    if (
        mark is not None
        and mark.kwargs.get("wanted", True)
        and "database_url" in metafunc.fixturenames
    ):
        metafunc.parametrize("database_url", ["single", "shards"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database at the newest revision, this test's own.

    On a single server, or distributed over the Citus cluster that the caller names.
    """
    if getattr(request, "param", "single") == "shards":
        yield request.getfixturevalue("citus_database_url")
        return
    admin: Admin = request.getfixturevalue("admin")
    template_url: str = request.getfixturevalue("template_url")
    with admin.database(template=make_url(template_url).database) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The service's engine, patient, on a database of this test's own."""
    engine = patient_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The public test vectors, which lie beside the checkout and are not ours."""
    default = ROOT.parent / "shared" / "corpora"
    path = Path(environment("ROLLCALL_TEST_CORPORA") or default)
    if not path.is_dir():
        pytest.skip(f"no test vectors at {path}; see ROLLCALL_TEST_CORPORA")
    return path

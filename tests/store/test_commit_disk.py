"""A disk that is really full, which takes root, Linux and a server of our own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.commit import Committer
from app.store.embedded import Cluster
from app.store.failures import sqlstate_of
from app.store.insert import STORED
from tests.conftest import Admin
from tests.store.entries import counts, record, save
from tests.store.sabotage import partitions, run


@pytest.fixture
def small_disk(admin: Admin) -> Iterator[Path]:
    """A tablespace on a disk of 1 MiB, named like the last part of its path."""
    if not isinstance(admin.server, Cluster):
        pytest.skip("needs a server of our own")
    state_dir = admin.server.data_dir.parent
    path = Path(tempfile.mkdtemp(prefix="small_disk_", dir=state_dir))
    owner = admin.server.data_dir.stat()
    options = f"size=1m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    if os.geteuid() != 0 or not call("mount", "-t", "tmpfs", "-o", options, "x", path):
        path.rmdir()
        pytest.skip("needs to mount a tmpfs")
    try:
        admin.scalar(f"CREATE TABLESPACE {path.name} LOCATION '{path}'")
        yield path
        admin.scalar(f"DROP TABLESPACE {path.name}")
    finally:
        # Lazily: a session of the server may keep a file of it open for a while.
        assert call("umount", "--lazy", path)
        path.rmdir()


def call(*words: str | Path) -> bool:
    """Run a program of this test's own choice; whether it succeeded."""
    return subprocess.run(words, check=False).returncode == 0  # noqa: S603


def fill(disk: Path) -> Path:
    """Leave no room on it; returns the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


async def test_a_full_disk_rejects_nothing_and_heals_when_it_has_room(
    small_disk: Path, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        [this_week, *_] = sorted(await partitions(connection))
    await run(engine, f"ALTER TABLE {this_week} SET TABLESPACE {small_disk.name}")
    entries = [record(user_id=f"user-{n}", noise="x" * 1000) for n in range(20)]
    filler = fill(small_disk)

    with pytest.raises(DBAPIError) as caught:
        await save(engine, *entries)
    assert sqlstate_of(caught.value) == "53100"
    assert await Committer(engine, timeout_s=0.1).settle([*entries]) == [None] * 20
    assert await counts(engine) == (0, 0, 0)

    filler.unlink()
    assert await Committer(engine, timeout_s=5).settle([*entries]) == [STORED] * 20
    assert await counts(engine) == (20, 20, 0)

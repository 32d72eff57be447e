"""A disk that is really full, which takes root, Linux and a server of our own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.embedded import Cluster
from app.store.write.insert import STORED
from tests.conftest import Admin
from tests.support.postgres.small_disk import fill, server_disk
from tests.support.store.entries import commit, counts, record
from tests.support.store.sabotage import partitions, run


@pytest.fixture
def disk(admin: Admin) -> Iterator[Path]:
    """A tablespace on a disk of 1 MiB, named like the last part of its path."""
    if not isinstance(admin.server, Cluster):
        pytest.skip("needs a server of our own")
    with server_disk(admin.server.data_dir, "size=1m") as path:
        admin.scalar(f"CREATE TABLESPACE {path.name} LOCATION '{path}'")
        yield path
        admin.scalar(f"DROP TABLESPACE {path.name}")


async def test_full_disk_rejects_nothing_and_heals_when_it_has_room(
    disk: Path, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with engine.connect() as connection:
        [this_week, *_] = sorted(await partitions(connection))
    await run(engine, f"ALTER TABLE {this_week} SET TABLESPACE {disk.name}")
    entries = [record(user_id=f"user-{n}", noise="x" * 1000) for n in range(20)]
    filler = fill(disk)

    assert await commit(engine, *entries, timeout_s=0.1) == [None] * 20
    [failure] = [vars(line)["rollcall_fields"] for line in caplog.records]
    assert failure["sqlstate"] == "53100"
    assert await counts(engine) == (0, 0, 0)

    filler.unlink()
    assert await commit(engine, *entries, timeout_s=5) == [STORED] * 20
    assert await counts(engine) == (20, 20, 0)

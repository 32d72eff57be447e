"""The keys as they are known while Postgres is away; a revoked one stays revoked."""

import json
import stat
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.request_errors import UnavailableError
from app.store.keys.keys import create_key, hash_key, key_id, revoke_key
from app.store.keys.live_keys import LiveKeys
from app.store.keys.snapshot_file import (
    KEYS_FILE,
    KeySnapshotFile,
    LiveKey,
    live_keys,
    publish_keys,
)
from tests.support.postgres.small_disk import fill, small_disk

ONE = LiveKey(hash_key(b"rc_one"), "billing", "write")
TWO = LiveKey(hash_key(b"rc_two"), "crm", "write")
READER = LiveKey(hash_key(b"rc_read_three"), "ann", "read")


class Postgres:
    """What the table of keys says, or that nobody says anything."""

    def __init__(self, *keys: LiveKey) -> None:
        self.keys: list[LiveKey] | None = [*keys]
        self.now = 100.0
        self.asked = 0

    async def ask(self) -> list[LiveKey]:
        self.asked += 1
        if self.keys is None:
            raise UnavailableError("away")
        return self.keys

    def clock(self) -> float:
        return self.now


def known_by(postgres: Postgres, directory: Path) -> LiveKeys:
    return LiveKeys(
        KeySnapshotFile(directory), postgres.ask, trust_s=4, clock=postgres.clock
    )


async def test_result_of_postgres_is_cached_for_a_limited_time(
    tmp_path: Path,
) -> None:
    postgres = Postgres(ONE, READER)
    known = known_by(postgres, tmp_path)
    assert known.source_of(ONE.key_hash) is None

    await known.refresh()
    assert known.source_of(ONE.key_hash) == "billing"
    assert known.source_of(TWO.key_hash) is None
    assert known.source_of(READER.key_hash) is None
    postgres.now += 4
    assert known.source_of(ONE.key_hash) is None


class SlowPostgres(Postgres):
    """Takes three seconds to say it."""

    @override
    async def ask(self) -> list[LiveKey]:
        self.now += 3
        return await super().ask()


async def test_cached_result_counts_from_its_query(tmp_path: Path) -> None:
    postgres = SlowPostgres(ONE)
    known = known_by(postgres, tmp_path)
    await known.refresh()
    assert known.source_of(ONE.key_hash) == "billing"
    postgres.now += 1
    assert known.source_of(ONE.key_hash) is None


async def test_while_postgres_is_away_the_file_says_it_for_as_long_as_it_takes(
    tmp_path: Path,
) -> None:
    postgres = Postgres(ONE)
    await known_by(postgres, tmp_path).refresh()
    postgres.keys = None
    postgres.now += 1.5
    started_then = known_by(postgres, tmp_path)
    await started_then.refresh()
    postgres.now += 3600

    assert started_then.source_of(ONE.key_hash) == "billing"


async def test_key_seen_as_revoked_by_any_process_stays_revoked(
    tmp_path: Path,
) -> None:
    postgres = Postgres(ONE, TWO)
    first, second = known_by(postgres, tmp_path), known_by(postgres, tmp_path)
    await first.refresh()
    await second.refresh()
    postgres.keys = [TWO]
    postgres.now += 1.5
    await first.refresh()
    postgres.keys = None
    postgres.now += 1.5
    await second.refresh()

    assert second.source_of(ONE.key_hash) is None
    assert second.source_of(TWO.key_hash) == "crm"


async def test_one_process_of_a_machine_queries_and_the_others_read_its_snapshot(
    tmp_path: Path,
) -> None:
    postgres = Postgres(ONE)
    processes = [known_by(postgres, tmp_path) for _ in range(8)]
    for rounds in range(1, 5):
        for known in processes:
            await known.refresh()
            postgres.now += 1.5 / len(processes)
        assert postgres.asked == rounds
        assert all(known.source_of(ONE.key_hash) for known in processes)


async def test_keys_of_a_snapshot_are_trusted_from_the_query_on(tmp_path: Path) -> None:
    postgres = Postgres(ONE)
    await known_by(postgres, tmp_path).refresh()
    postgres.now += 1.4
    second = known_by(postgres, tmp_path)
    await second.refresh()
    postgres.now += 2.5
    assert second.source_of(ONE.key_hash) == "billing"
    postgres.now += 0.1
    assert second.source_of(ONE.key_hash) is None


@pytest.mark.parametrize("noted", ["", "x", "99999.0", "nan"])
async def test_snapshot_of_an_unknown_time_is_not_trusted(
    tmp_path: Path, noted: str
) -> None:
    """Such as one from before a reboot, which sets the clock back."""
    postgres = Postgres(ONE, TWO)
    await known_by(postgres, tmp_path).refresh()
    (tmp_path / "keys.lock").write_text(noted)
    postgres.keys = [TWO]
    second = known_by(postgres, tmp_path)
    await second.refresh()
    assert second.source_of(ONE.key_hash) is None
    assert second.source_of(TWO.key_hash) == "crm"


async def test_process_that_hangs_with_the_lock_keeps_no_revoked_key(
    tmp_path: Path,
) -> None:
    postgres = Postgres(ONE, TWO)
    known = known_by(postgres, tmp_path)
    await known.refresh()
    postgres.keys = [TWO]
    postgres.now += 1.5
    with KeySnapshotFile(tmp_path).try_lock() as is_theirs:
        assert is_theirs
        await known.refresh()
    assert known.source_of(ONE.key_hash) is None
    assert known.source_of(TWO.key_hash) == "crm"
    assert KeySnapshotFile(tmp_path).read() == [ONE, TWO]


async def test_file_that_cannot_be_locked_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = known_by(Postgres(ONE), tmp_path / "missing")
    for _ in range(2):
        await known.refresh()
    assert "the file of keys cannot be written" in caplog.text
    assert len(caplog.messages) == 1


async def test_file_holds_no_key_and_is_for_the_service_alone(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    file = KeySnapshotFile(tmp_path)
    async with engine.begin() as connection:
        key = await create_key(connection, source="billing")
        await create_key(connection, source="ann", scope="read")
    async with engine.begin() as connection:
        assert await publish_keys(connection, file=file)
        assert file.read() == await live_keys(connection)
        assert {each.scope for each in file.read() or []} == {"read", "write"}
    path = tmp_path / KEYS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in path.read_text()

    async with engine.begin() as connection:
        await revoke_key(connection, id_=key_id(hash_key(key.encode())))
    async with engine.begin() as connection:
        assert await publish_keys(connection, file=file)
    assert [each.source for each in file.read() or []] == ["ann"]


def test_key_file_is_written_only_after_changes(tmp_path: Path) -> None:
    file = KeySnapshotFile(tmp_path)
    file.write([ONE])
    before = (tmp_path / KEYS_FILE).stat().st_ino
    file.write([ONE])
    assert (tmp_path / KEYS_FILE).stat().st_ino == before
    file.write([ONE, TWO])
    assert (tmp_path / KEYS_FILE).stat().st_ino != before
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEYS_FILE]


def test_file_of_another_release_is_read(tmp_path: Path) -> None:
    """An older one has no expiry; a later one may have more."""
    file, path = KeySnapshotFile(tmp_path), tmp_path / KEYS_FILE
    file.write([ONE])
    content = json.loads(path.read_bytes())
    [key] = content["keys"]
    del key["expires_at"]
    path.write_text(json.dumps(content))
    assert file.read() == [ONE]
    path.write_text(json.dumps({"keys": [key | {"note": "new"}], "version": 2}))
    assert file.read() == [ONE]


BROKEN = pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"keys": [{"hash": "x"}]}',
        b'{"keys": [{"hash": "ab", "source": 7, "scope": "write"}]}',
        b'{"keys": [{"hash": "ab", "source": "a", "scope": {}}]}',
    ],
)


@BROKEN
def test_unreadable_file_is_not_taken_for_an_empty_one(
    tmp_path: Path, content: bytes
) -> None:
    file = KeySnapshotFile(tmp_path)
    assert file.read() == []
    (tmp_path / KEYS_FILE).write_bytes(content)
    assert file.read() is None
    file.write([ONE])
    assert file.read() == [ONE]


@BROKEN
async def test_unreadable_file_changes_nothing_that_is_known(
    tmp_path: Path, content: bytes
) -> None:
    postgres = Postgres(ONE)
    known = known_by(postgres, tmp_path)
    await known.refresh()
    postgres.keys = None
    (tmp_path / KEYS_FILE).write_bytes(content)
    await known.refresh()
    postgres.now += 3600

    assert known.source_of(ONE.key_hash) == "billing"


def test_key_file_that_cannot_be_updated_is_deleted(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=64k") as disk:
        file = KeySnapshotFile(disk)
        file.write([ONE, TWO])
        fill(disk)
        with pytest.raises(OSError, match="No space"):
            file.write([ONE, TWO, READER])
        assert file.read() == [ONE, TWO]
        with pytest.raises(OSError, match="No space"):
            file.write([TWO, READER])
        assert file.read() == []

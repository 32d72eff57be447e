"""Recent sessions, which every worker of a machine knows during an outage."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from app.access.key_cache import KeyCache
from app.files import exclusive_lock
from app.request_errors import UnavailableError
from app.store.keys.scopes import Reader
from app.store.keys.session_file import SESSIONS_FILE, SessionFile
from tests.support.eventually import eventually

TOKEN = b"\x01" * 32
ANN = Reader("ann", "0123456789ab", "read")


def test_session_of_another_worker_is_recalled_until_it_ends(tmp_path: Path) -> None:
    one, other = SessionFile(tmp_path), SessionFile(tmp_path)
    one.remember(TOKEN, ANN)
    assert other.recall(TOKEN) == ANN
    assert other.recall(b"\x02" * 32) is None
    other.remember(TOKEN, None)
    assert one.recall(TOKEN) is None


def test_file_has_hashes_and_is_private(tmp_path: Path) -> None:
    SessionFile(tmp_path).remember(TOKEN, ANN)
    assert (tmp_path / SESSIONS_FILE).stat().st_mode & 0o077 == 0


def test_file_is_written_once_an_hour(tmp_path: Path) -> None:
    now = [1_000.0]
    file = SessionFile(tmp_path, clock=lambda: now[0])
    file.remember(TOKEN, ANN)
    first = (tmp_path / SESSIONS_FILE).stat().st_ino
    file.remember(TOKEN, ANN)
    assert (tmp_path / SESSIONS_FILE).stat().st_ino == first
    now[0] += 3_601
    file.remember(TOKEN, ANN)
    assert (tmp_path / SESSIONS_FILE).stat().st_ino != first


def test_session_is_forgotten_after_its_life(tmp_path: Path) -> None:
    now = [1_000.0]
    file = SessionFile(tmp_path, clock=lambda: now[0])
    file.remember(TOKEN, ANN)
    now[0] += 12 * 3600
    assert file.recall(TOKEN) is None


OTHER_RELEASE = b'{"%b": [1e12, "ann", "0123456789ab", "read", "new"]}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"x": 1}',
        b'{"x": []}',
        b'{"x": {"y": 1}}',
        b"\xff",
        OTHER_RELEASE % TOKEN.hex().encode(),
    ],
)
def test_unreadable_file_is_empty_and_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SESSIONS_FILE).write_bytes(content)
    file = SessionFile(tmp_path)
    assert file.recall(TOKEN) is None
    file.remember(TOKEN, ANN)
    assert file.recall(TOKEN) == ANN


def test_file_is_parsed_again_only_after_it_was_replaced(tmp_path: Path) -> None:
    one, other = SessionFile(tmp_path), SessionFile(tmp_path)
    one.remember(TOKEN, ANN)
    assert other.recall(TOKEN) == ANN
    path = tmp_path / SESSIONS_FILE
    status = path.stat()
    path.write_bytes(b"{}")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert other.recall(TOKEN) == ANN
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert other.recall(TOKEN) is None


def test_missing_directory_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    SessionFile(tmp_path / "missing").remember(TOKEN, ANN)
    assert "recent sessions not written" in caplog.text


async def test_cache_knows_sessions_of_other_workers_during_an_outage(
    tmp_path: Path,
) -> None:
    async def find(_: bytes) -> Reader | None:
        return ANN

    async def fail(_: bytes) -> Reader | None:
        raise UnavailableError("away")

    seen = KeyCache(find, trust_s=60, recent=SessionFile(tmp_path))
    assert await seen.source_of(b"token") == ANN
    fresh = KeyCache(fail, trust_s=60, recent=SessionFile(tmp_path))
    with pytest.raises(UnavailableError):
        await fresh.source_of(b"token")
    assert fresh.last_known(b"token") == ANN
    # A browser that signs out is forgotten on every worker.
    await seen.forget(b"token")
    assert fresh.last_known(b"token") is None


async def test_cache_waits_for_the_lock_of_the_file_without_holding_up_the_loop(
    tmp_path: Path,
) -> None:
    async def find(_: bytes) -> Reader | None:
        return ANN

    file = SessionFile(tmp_path)
    cache = KeyCache(find, trust_s=60, recent=file)
    with exclusive_lock((tmp_path / SESSIONS_FILE).with_suffix(".lock")):
        asked = asyncio.create_task(cache.source_of(b"token"))
        await eventually(lambda: cache.knows(b"token"))
        assert not asked.done()
    assert await asked == ANN
    token_hash = hashlib.sha256(b"token").digest()
    assert file.recall(token_hash) == ANN
    with exclusive_lock((tmp_path / SESSIONS_FILE).with_suffix(".lock")):
        leaving = asyncio.create_task(cache.forget(b"token"))
        await eventually(lambda: not cache.knows(b"token"))
        assert not leaving.done()
    await leaving
    assert file.recall(token_hash) is None

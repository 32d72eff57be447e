"""State of replays: goes on without a reader, one at a time, survives the worker."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from app.store.quarantine import replay_runs
from app.store.quarantine.caps import UNSTORABLE
from app.store.quarantine.replay import Failure, Replayed
from app.store.quarantine.replay_runs import RUN_FILE, ReplayRuns
from tests.support.eventually import eventually

BATCH = Replayed(2, 1, [Failure(UUID(int=1), [UNSTORABLE])])


async def test_state_is_seen_by_another_worker(tmp_path: Path) -> None:
    going_on = asyncio.Event()

    async def run(report: Callable[[Replayed], None]) -> None:
        report(BATCH)
        await going_on.wait()
        report(BATCH)

    runs, other = ReplayRuns(tmp_path), ReplayRuns(tmp_path)
    assert runs.start(run, actor="key:a", total=9)
    state = other.read()
    assert state is not None
    assert state.phase == "running"
    assert not other.start(run, actor="key:b", total=1)  # one at a time
    going_on.set()
    await runs.wait()
    state = other.read()
    assert state is not None
    assert state.phase == "finished"
    assert (state.actor, state.total, state.processed) == ("key:a", 9, 8)
    assert (state.stored, state.duplicates) == (4, 2)
    assert state.reasons == {"unstorable": 2}


async def test_state_is_written_again_during_a_long_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: Callable[[Replayed], None]) -> None:
        await asyncio.Event().wait()

    def updated_at() -> datetime:
        state = other.read()
        assert state is not None
        return state.updated_at

    monkeypatch.setattr(replay_runs, "_WRITE_EVERY_S", 0.001)
    runs, other = ReplayRuns(tmp_path), ReplayRuns(tmp_path)
    runs.start(run, actor="key:a", total=9)
    first = updated_at()
    await eventually(lambda: updated_at() > first)
    await runs.close()


async def test_end_of_the_service_stops_it(tmp_path: Path) -> None:
    async def run(report: Callable[[Replayed], None]) -> None:
        report(BATCH)
        await asyncio.Event().wait()

    runs = ReplayRuns(tmp_path)
    runs.start(run, actor="key:a", total=9)
    await asyncio.sleep(0)
    await runs.close()
    state = ReplayRuns(tmp_path).read()
    assert state is not None
    assert (state.phase, state.processed) == ("stopped", 4)
    assert not runs.start(run, actor="key:b", total=1)  # the service is ending
    assert runs.read() == state


async def test_failure_is_in_the_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(report: Callable[[Replayed], None]) -> None:
        report(BATCH)
        raise ConnectionError

    runs = ReplayRuns(tmp_path)
    runs.start(run, actor="key:a", total=9)
    await runs.wait()
    state = ReplayRuns(tmp_path).read()
    assert state is not None
    assert (state.phase, state.processed) == ("failed", 4)
    assert "replay failed" in caplog.text


async def test_state_of_a_dead_worker_is_stopped_after_a_minute(
    tmp_path: Path,
) -> None:
    for age, phase in ((timedelta(), "running"), (timedelta(seconds=61), "stopped")):
        written = {
            "actor": "key:a",
            "total": 9,
            "started_at": datetime.now(UTC) - timedelta(hours=1),
            "updated_at": datetime.now(UTC) - age,
        }
        (tmp_path / RUN_FILE).write_bytes(orjson.dumps(written))
        state = ReplayRuns(tmp_path).read()
        assert state is not None
        assert state.phase == phase


WITHOUT_ZONE = (
    b'{"actor": "key:a", "total": 9, "started_at": "2026-01-01T00:00:00Z", '
    b'"updated_at": "2026-01-01T00:00:00"}'
)


async def test_state_is_readable_by_the_user_of_the_service_only(
    tmp_path: Path,
) -> None:
    async def run(_: Callable[[Replayed], None]) -> None:
        pass

    runs = ReplayRuns(tmp_path)
    runs.start(run, actor="key:a", total=4)
    await runs.wait()
    assert (tmp_path / RUN_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", WITHOUT_ZONE])
async def test_unreadable_state_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    assert ReplayRuns(tmp_path).read() is None


async def test_state_is_kept_in_memory_where_no_file_can_be_written(
    tmp_path: Path,
) -> None:
    async def run(report: Callable[[Replayed], None]) -> None:
        report(BATCH)

    runs = ReplayRuns(tmp_path / "missing")
    runs.start(run, actor="key:a", total=4)
    await runs.wait()
    state = runs.read()
    assert state is not None
    assert (state.phase, state.processed) == ("finished", 4)

"""Rows that several processes share, and that outlive them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.metrics.board import Board, shared_directory
from app.metrics.catalog import CONNECTIONS, EVENTS, REQUESTS, WORKER_CRASHES
from app.metrics.catalog import JOURNAL_OLDEST_SECONDS as OLDEST
from app.metrics.layout import ALIVE_AT, Layout
from app.metrics.meters import Meters
from app.settings import child_environment
from tests.conftest import ROOT
from tests.support.metric_figures import figures_of

LAYOUT = Layout({"route": ("/track",)})

# Counts as a worker does, says so, and waits to be killed.
_WORKER = """
import sys
from pathlib import Path
from app.metrics.board import Board
from app.metrics.catalog import CONNECTIONS, EVENTS
from app.metrics.layout import Layout
from app.metrics.meters import Meters
meters = Meters(Board(Layout({"route": ("/track",)}), Path(sys.argv[1])))
meters.watch({CONNECTIONS: lambda: 7})
meters.add(EVENTS, "stored", amount=100)
meters.publish()
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with shared_directory() as path:
        assert path is not None
        yield path


def killed_worker(directory: Path) -> None:
    """A worker that counts a hundred events and is killed."""
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", _WORKER, str(directory)],
        cwd=ROOT,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"counted\n"
        process.send_signal(signal.SIGKILL)


def test_each_process_has_a_row_and_all_see_the_sum(directory: Path) -> None:
    boards = [Board(LAYOUT, directory) for _ in range(3)]
    for number, board in enumerate(boards):
        meters = Meters(board)
        meters.add(EVENTS, "stored", amount=10**number)
        meters.watch({CONNECTIONS: lambda number=number: number + 1})  # type: ignore[misc]
        meters.publish()

    for board in boards:
        figures = figures_of(board)
        assert figures("rollcall_events_total", result="stored") == 111
        assert figures("rollcall_connections_open") == 6
        assert figures("rollcall_workers") == 3


def test_a_row_outlives_its_worker_and_is_counted_on(directory: Path) -> None:
    own = Board(LAYOUT, directory)
    own.take()
    for _ in range(3):
        killed_worker(directory)

    assert figures_of(own)("rollcall_events_total", result="stored") == 300
    # One row was handed on from worker to worker: they do not become more and more.
    assert len([*directory.iterdir()]) == 2


def test_a_crash_is_counted_once_and_leaving_is_none(directory: Path) -> None:
    board = Board(LAYOUT, directory)
    living, leaving = Meters(board), Meters(Board(LAYOUT, directory))
    for meters in (living, leaving):
        meters.publish()
    leaving.leave()
    # One free row more than workers: who starts next may take another than the dead.
    killed_worker(directory)
    (directory / f"{LAYOUT.fingerprint}.2").rename(
        directory / f"{LAYOUT.fingerprint}.9"
    )
    successors = [Meters(Board(LAYOUT, directory)) for _ in range(3)]

    assert len(successors) == 3
    assert figures_of(board)("rollcall_worker_crashes_total") == 1


def test_a_successor_begins_with_gauges_of_its_own(directory: Path) -> None:
    killed_worker(directory)
    board = Board(LAYOUT, directory)
    meters = Meters(board)
    meters.publish()
    assert figures_of(board)("rollcall_connections_open") == 0
    meters.leave()
    assert figures_of(board)("rollcall_workers") == 0


def test_the_gauges_of_who_falls_silent_are_gone_and_its_counts_are_not(
    directory: Path,
) -> None:
    boards = [Board(LAYOUT, directory) for _ in range(3)]
    for number, board in enumerate(boards):
        meters = Meters(board)
        meters.add(EVENTS, "stored")
        meters.watch({each: lambda n=number: n + 1 for each in (CONNECTIONS, OLDEST)})  # type: ignore[misc]
        meters.publish()
    boards[2].take()[ALIVE_AT] -= 6

    figures = figures_of(boards[0])
    assert figures("rollcall_workers") == 2
    assert figures("rollcall_connections_open") == 1 + 2
    assert figures("rollcall_journal_oldest_age_seconds") == 2
    assert figures("rollcall_events_total", result="stored") == 3


def test_workers_of_other_code_are_added_up_by_name(directory: Path) -> None:
    before = Board(Layout({"route": ("/old", "/track")}), directory)
    then = Meters(before)
    then.count_request("/old", 200, 0.1, {"stored": 2})
    then.count_request("/track", 200, 0.1, {"stored": 3})
    then.publish()
    now = Board(LAYOUT, directory)
    Meters(now).count_request("/track", 200, 0.1, {"stored": 4})

    new, old = figures_of(now), figures_of(before)
    assert new("rollcall_events_total", result="stored") == 9
    assert new("rollcall_requests_total", route="/track", status="200") == 2
    assert new("rollcall_workers") == 1
    # Who knows the door tells of it, whoever else does not.
    assert new.labels("rollcall_requests_total", "route") == {"/track"}
    assert old("rollcall_requests_total", route="/old", status="200") == 1
    assert old("rollcall_events_total", result="stored") == 9


@pytest.mark.parametrize("keep", [0, 1, 100, -8])
def test_a_row_that_is_just_being_made_is_not_read(directory: Path, keep: int) -> None:
    Board(LAYOUT, directory).take()
    [path] = directory.iterdir()
    whole = path.read_bytes()
    (directory / "other.0").write_bytes(whole[:keep])

    # The first, and its own.
    assert len(Board(LAYOUT, directory).rows()) == 2


def test_what_was_made_by_half_is_made_anew(directory: Path) -> None:
    size = len(Board(LAYOUT, directory).take())
    [path] = directory.iterdir()
    whole = path.read_bytes()
    (directory / f"{LAYOUT.fingerprint}.1").write_bytes(whole[:100])

    board = Board(LAYOUT, directory)
    assert len(board.take()) == size
    assert [len(row) for row in board.rows()] == [size, size]


def test_a_board_without_a_directory_is_this_processs_alone() -> None:
    board, other = Board(LAYOUT), Board(LAYOUT)
    Meters(board).add(WORKER_CRASHES)
    assert figures_of(board).total("rollcall_worker_crashes_total") == 1
    assert figures_of(other).total("rollcall_worker_crashes_total") == 0


def test_the_directory_is_private_and_goes_with_the_service() -> None:
    with shared_directory() as path:
        assert path is not None
        Board(LAYOUT, path).take()
        modes = [each.stat().st_mode & 0o077 for each in (path, *path.iterdir())]
        assert modes == [0, 0]
    assert not path.exists()


def test_what_a_killed_service_left_goes_with_the_next_start(tmp_path: Path) -> None:
    names = ["killed", "serves", "starts", "killed-just-now"]
    killed, serves, starts, _ = made = [
        tmp_path / f"rollcall-metrics-{n}" for n in names
    ]
    for directory in made:
        directory.mkdir()
        if directory != starts:
            killed_worker(directory)
    Board(LAYOUT, serves).take()
    for directory in (killed, serves):
        os.utime(directory, (0, 0))

    with shared_directory([tmp_path]) as own:
        assert {*tmp_path.iterdir()} == {*made[1:], own}
    assert not killed.exists()


def test_without_a_place_for_it_each_worker_counts_for_itself(tmp_path: Path) -> None:
    with shared_directory([tmp_path / "missing"]) as path:
        assert path is None
    with shared_directory([tmp_path / "missing", tmp_path]) as path:
        assert path is not None
        assert path.parent == tmp_path


def test_a_directory_that_was_tidied_away_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "rows"
    directory.mkdir()
    before = Board(LAYOUT, directory)
    Meters(before).add(EVENTS, "stored")
    shutil.rmtree(directory)
    after = Board(LAYOUT, directory)
    Meters(after).add(EVENTS, "stored")

    for board in (before, after):
        assert figures_of(board)("rollcall_events_total", result="stored") == 1
    assert "this worker counts for itself" in caplog.text


def test_the_keys_are_distinct_and_name_all_cells() -> None:
    keys = LAYOUT.keys
    assert len(set(keys)) == len(keys)
    assert json.loads(json.dumps(keys)) == keys
    assert LAYOUT.cell(REQUESTS, "/nowhere", "777") == LAYOUT.cell(
        REQUESTS, "other", "other"
    )

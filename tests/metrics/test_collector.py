"""Metrics of several processes, merged through their snapshots."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.metrics.catalog import CONNECTIONS, EVENTS
from app.metrics.catalog import JOURNAL_OLDEST_SECONDS as OLDEST
from app.metrics.counters import Metrics
from app.metrics.snapshots import fold_snapshot, read_snapshots, write_snapshot
from app.settings import child_environment
from tests.conftest import ROOT
from tests.support.metrics.samples import figures_of

LABELS = {"route": ("/track",)}

# Publishes its metrics like a worker, then waits for SIGKILL.
_WORKER = """
import sys
from pathlib import Path
from app.metrics.catalog import CONNECTIONS, EVENTS
from app.metrics.counters import Metrics
metrics = Metrics({"route": ("/track",)}, Path(sys.argv[1]))
metrics.register_gauges({CONNECTIONS: lambda: 7})
metrics.add(EVENTS, "stored", amount=100)
metrics.publish()
print("published", flush=True)
sys.stdin.read()
"""


def killed_worker(directory: Path) -> int:
    """Run a worker that counts 100 events, kill it, and return its pid."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(directory)],
        cwd=ROOT,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"published\n"
        process.send_signal(signal.SIGKILL)
    return process.pid


def stored(metrics: Metrics) -> float:
    return figures_of(metrics)("rollcall_events_total", result="stored")


def test_each_worker_exposes_the_sum_of_all(tmp_path: Path) -> None:
    workers = [Metrics(LABELS, tmp_path) for _ in range(3)]
    for number, metrics in enumerate(workers):
        metrics.add(EVENTS, "stored", amount=10**number)
        metrics.register_gauges({CONNECTIONS: partial(float, number + 1)})
        metrics.publish()

    for metrics in workers:
        figures = figures_of(metrics)
        assert figures("rollcall_events_total", result="stored") == 111
        assert figures("rollcall_connections_open") == 6
        assert figures("rollcall_workers") == 3


def test_own_counters_are_published_before_they_are_exposed(tmp_path: Path) -> None:
    one, other = (Metrics(LABELS, tmp_path) for _ in range(2))
    one.add(EVENTS, "stored")
    assert stored(one) == 1
    # If this worker dies now, no other exposes less.
    assert stored(other) == 1


def test_counters_of_a_killed_worker_stay_before_and_after_folding(
    tmp_path: Path,
) -> None:
    own = Metrics(LABELS, tmp_path)
    pids = [killed_worker(tmp_path) for _ in range(3)]
    before = stored(own)
    for pid in pids:
        fold_snapshot(tmp_path, pid, crashed=True)

    assert before == stored(own) == 300
    assert figures_of(own)("rollcall_worker_crashes_total") == 3
    assert figures_of(own)("rollcall_connections_open") == 0
    # Files do not pile up: one for this process, one for all that have ended.
    assert len([*tmp_path.iterdir()]) == 2


def test_worker_that_stopped_in_good_order_is_no_crash(tmp_path: Path) -> None:
    own, stopped = (Metrics(LABELS, tmp_path) for _ in range(2))
    stopped.publish()
    stopped.add(EVENTS, "stored")
    stopped.publish()
    assert figures_of(own)("rollcall_workers") == 2
    fold_snapshot(tmp_path, os.getpid(), crashed=False)

    assert figures_of(own)("rollcall_workers") == 1
    assert figures_of(own)("rollcall_worker_crashes_total") == 0
    assert stored(own) == 1


def test_worker_that_never_published_is_counted_as_a_crash(tmp_path: Path) -> None:
    fold_snapshot(tmp_path, 999_999_999, crashed=True)
    own = Metrics(LABELS, tmp_path)
    assert figures_of(own)("rollcall_worker_crashes_total") == 1


def at_each_read(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]
) -> None:
    """Have something happen while a scrape reads the snapshots."""
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        content = read(path)
        monkeypatch.setattr(Path, "read_bytes", read)
        happens()
        return content

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


def test_folding_during_a_scrape_counts_nothing_twice_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Metrics(LABELS, tmp_path)
    pids = [killed_worker(tmp_path) for _ in range(2)]

    def fold() -> None:
        for pid in pids:
            fold_snapshot(tmp_path, pid, crashed=True)

    at_each_read(monkeypatch, fold)
    # One snapshot was read before it was folded, the other after.
    assert stored(own) == 200
    assert stored(own) == 200


def test_silent_worker_loses_its_gauges_and_keeps_its_counters(tmp_path: Path) -> None:
    workers = [Metrics(LABELS, tmp_path) for _ in range(3)]
    for number, metrics in enumerate(workers):
        metrics.add(EVENTS, "stored")
        metrics.register_gauges(
            dict.fromkeys((CONNECTIONS, OLDEST), partial(float, number + 1))
        )
        metrics.publish()
    latest = workers[2].publish()
    silent = latest._replace(alive_at=latest.alive_at - 6)
    write_snapshot(tmp_path / workers[2].snapshot_name, silent)

    figures = figures_of(workers[0])
    assert figures("rollcall_workers") == 2
    assert figures("rollcall_connections_open") == 1 + 2
    assert figures("rollcall_journal_oldest_age_seconds") == 2
    assert figures("rollcall_events_total", result="stored") == 3


def test_workers_of_another_release_are_merged_by_name(tmp_path: Path) -> None:
    old = Metrics({"route": ("/old", "/track")}, tmp_path)
    old.count_request("/old", 200, 0.1, {"stored": 2})
    old.count_request("/track", 200, 0.1, {"stored": 3})
    old.publish()
    new = Metrics(LABELS, tmp_path)
    new.count_request("/track", 200, 0.1, {"stored": 4})

    figures = figures_of(new)
    assert figures("rollcall_events_total", result="stored") == 9
    assert figures("rollcall_requests_total", route="/track", status="200") == 2
    assert figures("rollcall_requests_total", route="/old", status="200") == 1


def test_process_without_a_directory_exposes_itself_alone(tmp_path: Path) -> None:
    alone, other = Metrics(LABELS), Metrics(LABELS, tmp_path)
    alone.add(EVENTS, "stored")
    assert stored(alone) == 1
    assert stored(other) == 0


def test_removed_directory_disables_sharing_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "snapshots"
    directory.mkdir()
    metrics = Metrics(LABELS, directory)
    metrics.publish()
    shutil.rmtree(directory)
    metrics.add(EVENTS, "stored")

    assert stored(metrics) == stored(metrics) == 1
    assert caplog.messages == ["shared metrics unavailable, snapshots disabled"]


def test_list_of_folded_snapshots_is_bounded(tmp_path: Path) -> None:
    for pid in range(150):
        (tmp_path / f"{pid}-x.json").write_text('{"counters": {"a": 1}, "gauges": {}}')
        fold_snapshot(tmp_path, pid, crashed=False)
    [retired] = read_snapshots(tmp_path).values()
    assert retired.counters["a"] == 150
    assert len(retired.folded) == 100

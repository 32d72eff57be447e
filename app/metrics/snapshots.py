"""Snapshot files, through which the workers of a service share their metrics.

A worker replaces its file once a second. When it has ended, the supervisor adds its
counters to the file of all retired workers, so that no counter goes back.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

_RETIRED = "retired.json"
_CRASHES = "rollcall_worker_crashes_total"
# A scrape may have read a snapshot just before it was folded and removed.
_MAX_FOLDED = 100


class Snapshot(NamedTuple):
    """Metrics of one process, or of all retired ones.

    Attributes:
        counters: by series.
        gauges: by series.
        alive_at: on the monotonic clock; 0 for the retired ones.
        folded: names of the snapshots that these counters include.
    """

    counters: dict[str, float]
    gauges: dict[str, float]
    alive_at: float = 0.0
    folded: Sequence[str] = ()


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Replace a snapshot atomically."""
    new = path.with_suffix(".new")
    new.write_bytes(orjson.dumps(snapshot._asdict()))
    new.replace(path)


def _read_snapshot(path: Path) -> Snapshot:
    try:
        return Snapshot(**orjson.loads(path.read_bytes()))
    except FileNotFoundError:  # none yet, or just folded
        return Snapshot({}, {})


def read_snapshots(directory: Path) -> dict[str, Snapshot]:
    """Snapshots by file name, each counter in exactly one of them."""
    paths = directory.glob("*-*.json")
    snapshots = {path.name: _read_snapshot(path) for path in paths}
    # Read last, because it names the snapshots that were folded meanwhile.
    retired = snapshots[_RETIRED] = _read_snapshot(directory / _RETIRED)
    for name in retired.folded:
        snapshots.pop(name, None)
    return snapshots


def fold_snapshot(directory: Path, pid: int, *, crashed: bool) -> None:
    """Add the counters of a worker that has ended to those of the retired ones."""
    path = directory / _RETIRED
    retired = _read_snapshot(path)
    counters = Counter(retired.counters)
    counters[_CRASHES] += crashed
    ended = [*directory.glob(f"{pid}-*.json")]
    for each in ended:
        counters.update(_read_snapshot(each).counters)
    folded = [*retired.folded, *(each.name for each in ended)][-_MAX_FOLDED:]
    write_snapshot(path, Snapshot(dict(counters), {}, folded=folded))
    for each in ended:
        each.unlink()
